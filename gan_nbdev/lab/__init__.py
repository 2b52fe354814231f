"Windows in JupyterLab: watch a GAN learn, explore what it has learned, and make films of it"
from importlib import import_module
from ..support.garbage import no_garbage

_rooms = dict(Lab='window', Explorer='explorer', record='camera', lessons='course')
__all__ = [*_rooms]

def __getattr__(name):   # a room is opened when something in it is asked for
    if name not in _rooms: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    with no_garbage(): return getattr(import_module(f'{__name__}.{_rooms[name]}'), name)
