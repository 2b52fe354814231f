"Everything that a user needs, in one import"
from .value import *
from .data import *
from .datasets.samples import *
from .datasets.idx import *
from .datasets.files import *
from .networks import *
from .algorithm import *
from .trainer import *
from .support.devices import *
from .support.processes import *
from .engines.choice import *
from .engines.ensemble import *
from .engines.checkpoints import *
from .engines.parallel import *
from .metrics import *
from .plots import *
from .experiments import *
