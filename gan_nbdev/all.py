"Everything that a user needs, in one import"
from .value import *
from .data import *
from .samples import *
from .idx import *
from .files import *
from .networks import *
from .engines import *
from .parallel import *
from .trainer import *
from .ensemble import *
from .checkpoints import *
from .metrics import *
from .plots import *
from .recipes import *
