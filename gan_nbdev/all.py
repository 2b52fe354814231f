"Everything that a user needs, in one import"
from .support.garbage import no_garbage as _no_garbage

with _no_garbage():
    from .value import *
    from .games.game import Game, offers
    from .games.began import Reconstruction
    from .games.combinations import *
    from .games.r3gan import r1, r2
    from .games.table import games, make_game
    from .data import *
    from .datasets.shapes import *
    from .datasets.samples import Samples, Scaling, StreamSource
    from .datasets.streams import *
    from .datasets.idx import *
    from .datasets.images import *
    from .datasets.tables import Table, table
    from .datasets.files import *
    from .networks import *
    from .algorithm import *
    from .trainer import *
    from .support.devices import devices, pick_device, precisions
    from .support.processes import parallel, processes, rank
    from .engines.choice import *
    from .engines.ensemble import *
    from .engines.checkpoints import *
    from .engines.parallel import *
    from .measures.two_samples import *
    from .measures.columns import *
    from .measures.features import *
    from .metrics import *
    from .measures.stacked import *
    from .plots import *
    from .measures.pairs import *
    from .experiments import *
    from .run_folders import Run, load_run
    from .study import Study, study
