"""The CPU in the place of two GPUs: a device with CUDA's name is the CPU, and a CUDA graph a tape of operations that is played again.

What the package asks of CUDA is tried so on any machine: the order of its calls, what a graph holds and what it does not. Speed, memory
and roundings are a GPU's own, and the tests marked `gpu` are for these.
"""
import warnings
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

TOTAL = 2**37   # bytes of each


class _Generator(torch.Generator):
    "On the CPU, whatever it says"
    def __new__(cls, device='cpu'):
        g = super().__new__(cls, 'cpu')
        g.named = torch.device(device)
        return g
    @property
    def device(self): return self.named


class _OnCPU(TorchFunctionMode):
    def __init__(self, gpus): super().__init__(); self.gpus = gpus

    def __torch_function__(self, f, types, args=(), kwargs=None):
        if f is torch.device: return f(*args, **(kwargs or {}))
        return f(*map(self.cpu, args), **{k: self.cpu(v) for k, v in (kwargs or {}).items()})

    def cpu(self, v):
        if isinstance(v, str) and v[:4] == 'cuda': v = torch.device(v)
        if not isinstance(v, torch.device) or v.type != 'cuda': return v
        self.gpus.asked = self.gpus.current if v.index is None else v.index
        return torch.device('cpu')


class _Tape(TorchDispatchMode):
    def __init__(self): super().__init__(); self.played = []

    def __torch_dispatch__(self, f, types, args=(), kwargs=None):
        out = f(*args, **(kwargs or {}))
        self.played.append((f, args, kwargs or {}, out))
        return out


class _Graph:
    "As CUDA's, it takes the operations with the very tensors that they had, of the device that is the current one"
    def __init__(self, gpus): self.gpus, self.tape = gpus, None
    def register_generator_state(self, rng): assert isinstance(rng, torch.Generator)

    @contextmanager
    def captured(self):
        self.tape = _Tape()
        with self.tape: yield
        if self.gpus.asked != self.gpus.current: self.tape.played = []
        self.gpus.captured.append((self, torch.get_float32_matmul_precision()))

    @torch.no_grad()
    def replay(self):
        for f, args, kwargs, before in self.tape.played:
            now = f(*args, **kwargs)
            for old, new in zip(*([*filter(torch.is_tensor, o if isinstance(o, (list, tuple)) else [o])] for o in (before, now))):
                if old.data_ptr() != new.data_ptr(): old.copy_(new)


@pytest.fixture
def gpus(monkeypatch):
    "`current`: the number of the current device; `captured`: each graph, with the precision of products that was set"
    here = SimpleNamespace(current=0, asked=0, captured=[], free=TOTAL)

    @contextmanager
    def device(which):
        before, which = here.current, torch.device(which)
        here.current = before if which.index is None else which.index
        try: yield
        finally: here.current = before

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for k, v in dict(
            is_available=lambda: True, is_bf16_supported=lambda *_: True, device_count=lambda: 2, current_device=lambda: here.current, device=device,
            get_rng_state=lambda device=None: torch.zeros(16, dtype=torch.uint8), set_rng_state=lambda state, device=None: None,
            mem_get_info=lambda device=None: (here.free, TOTAL), Stream=lambda device=None: stream, current_stream=lambda device=None: stream,
            stream=lambda stream: nullcontext(), CUDAGraph=lambda: _Graph(here), graph=lambda graph: graph.captured()).items():
        monkeypatch.setattr(torch.cuda, k, v)
    monkeypatch.setattr(torch, 'Generator', _Generator)
    warnings.filterwarnings('ignore', "'pin_memory'")   # there is no such memory here
    with _OnCPU(here): yield here
