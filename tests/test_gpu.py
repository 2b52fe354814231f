"What the package does on a GPU, tried on any machine: `gpus` has the CPU in its place. Where there is a GPU, it is tried there, too."
from contextlib import nullcontext

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import gan_nbdev.engines.ensemble as together
from gan_nbdev.algorithm import momentum_sgd
from gan_nbdev.data import Data, Noise, Source, normal, ring
from gan_nbdev.datasets.shapes import NoisyCurve, line
from gan_nbdev.datasets.files import get_data
from gan_nbdev.datasets.samples import Samples, StreamSource
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.engines.ensemble import Ensemble
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.trainer import Trainer
from gpus import TOTAL, gpus
from test_engines import At, MANY, agree, deviation, fit, make, rows, same, same_rng

cuda = dict(device='cuda')


@pytest.fixture(params=['a stand-in', pytest.param('a GPU', marks=pytest.mark.gpu)])
def any_gpu(request):
    if request.param == 'a stand-in': request.getfixturevalue('gpus')


@pytest.mark.parametrize('kw', [
    dict(), dict(norm='batch', k=3), dict(rule='adam', game='minimax'), dict(data='memory'), dict(data='stream', k=3)], ids=str)
def test_a_graph_agrees_with_the_lines(gpus, kw):
    agree('graphed', n=20, **kw, **cuda)
    assert gpus.captured


def ensemble(engine, n=3, **kw): return Ensemble([make(seed=i, rate=1 + i/2, **kw, **cuda) for i in range(n)], engine)


@pytest.mark.parametrize('kw', [dict(), dict(data='memory', rule='adam', ema=5.), dict(data='stream')], ids=str)
def test_an_ensemble_of_graphs(gpus, kw):
    eager, graphed = (ensemble(e, **kw).fit(20, progress=False).trainers for e in ('eager', 'graphed'))
    assert len(gpus.captured) == 1 and [t.iteration for t in graphed] == [len(t.record) for t in graphed] == [20]*3
    assert all(deviation(a, b) < MANY[None] and same_rng(a, b) for a, b in zip(eager, graphed))
    assert min(deviation(graphed[0], t) for t in graphed[1:]) > 1e-2


def test_a_gpu_that_is_not_the_current_one(gpus):
    agree('graphed', n=20, device='cuda:1')
    assert gpus.current == 0


def test_a_graph_that_holds_nothing_is_refused(gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device', lambda device: nullcontext())   # so it is of another GPU
    t, eager = make('graphed', device='cuda:1'), make(device='cuda:1')
    with pytest.raises(ValueError, match='cannot be made a CUDA graph: the graph is empty'): fit(t, 5)
    assert same(t, eager)


@pytest.mark.parametrize('asked, meant', [('float32', 'highest'), ('tf32', 'high'), ('bf16', 'highest')])
def test_graphs_and_machine_code_have_the_trainers_precision(gpus, monkeypatch, asked, meant):
    "The libraries choose when a graph is made, and the compiler keeps its programs by what was set; the process has the opposite"
    def now(): return torch.get_float32_matmul_precision()
    compiling, others = [], dict(highest='high', high='highest')[meant]
    monkeypatch.setattr('torch._inductor.compile_fx.compile_fx', lambda program, inputs: compiling.append(now()) or program)
    torch.set_float32_matmul_precision(others)
    try:
        for engine in 'graphed', 'compiled': fit(make(engine, precision=asked, **cuda), 2)
        ensemble('compiled', n=2, precision=asked).fit(2, progress=False)
        assert now() == others
    finally: torch.set_float32_matmul_precision('highest')
    assert compiling == [meant]*2 and [how for _, how in gpus.captured] == [meant]*3


rules = dict(d_rule=momentum_sgd(.02), g_rule=momentum_sgd(.02))   # which magnify no roundings


class Blob(Data):
    "A distribution of one's own"
    name, dim, shape, width = 'blob', 2, (2,), 1.
    def _draw(self, n, generator): return torch.randn(n, 2, generator=generator, device=generator.device)*self.width


WIDTH = 1.   # of what is drawn

class Drawing(GAN):
    def draw_noise(self, n, generator=None): return super().draw_noise(n, generator)*WIDTH


class Spread(Source):
    def next(self): return super().next()*WIDTH


class Sourced(Blob):
    def source(self, m, generator, device): return Spread(self, m, generator, device)


def spread(n, dim, generator): return torch.randn(n, dim, generator=generator, device=generator.device)*WIDTH


drawn = {
    'data': dict(data=Blob, change=lambda t: setattr(t.data, 'width', 3.)),
    'a curve': dict(data=lambda: NoisyCurve(lambda t: torch.stack([t, t*WIDTH], 1), .1)),
    'a source': dict(data=Sourced), 'noise': dict(noise=Noise('spread', 2, spread)), 'a GAN': dict(kind=Drawing),
    "this package's data": dict(data=lambda: NoisyCurve(line().curve, .1), change=lambda t: setattr(t.data, 'std', .5))}


@pytest.mark.parametrize('what', drawn)
def test_what_python_does_while_it_draws_is_not_kept_in_a_graph(any_gpu, monkeypatch, what):
    "A graph that draws would go on with what it found when it was made"
    def widen(t): monkeypatch.setitem(globals(), 'WIDTH', 3.)
    def run(engine, data=ring, noise=normal(2), kind=GAN, change=widen):
        monkeypatch.setitem(globals(), 'WIDTH', 1.)
        gan = kind(mlp_generator(2, 2, (8,), act='tanh', seed=0), mlp_discriminator(2, (8,), act='tanh', seed=1), noise)
        return fit(Trainer(gan, data(), batch_size=32, engine=engine, hooks=[At(3, change)], **rules, **cuda), 8)
    runs = [run(engine, **drawn[what]) for engine in ('eager', 'graphed')]
    assert deviation(*runs) < MANY[None] and same_rng(*runs)


@pytest.mark.parametrize('data, outside', [('distribution', 0), ('memory', 0), ('stream', 1)])
def test_what_is_known_is_drawn_within_the_graph(any_gpu, data, outside):
    assert len(fit(make('graphed', data=data, **cuda), 1).made_engine[2].outside) == outside


plane = rows[:, :2]
shared = {
    'few rows': lambda: Samples(plane[:20]), 'labels': lambda: Samples(plane, labels=torch.arange(200) % 2), "one's own": Sourced,
    'a stream': lambda: Stream(TensorDataset(plane), scale=None), 'a DataLoader': lambda: get_data(DataLoader(TensorDataset(plane), batch_size=16))}


def sharing(data, n=2):
    how = dict(act='tanh', classes=data.classes)
    def gan(): return GAN(mlp_generator(2, 2, (8,), seed=0, **how), mlp_discriminator(2, (8,), seed=1, **how), normal(2), classes=data.classes)
    return [Trainer(gan(), data, batch_size=16, seed=i, **rules, **cuda) for i in range(n)]


@pytest.mark.parametrize('kind', shared)
def test_members_share_data_and_go_on_from_where_they_were(any_gpu, kind):
    data = shared[kind]()
    whole, first, then = (sharing(data) for _ in range(3))
    Ensemble(whole, 'graphed').fit(6, progress=False)
    Ensemble(first, 'eager').fit(3, progress=False)
    for new, old in zip(then, first): new.load_state_dict(old.state_dict())
    Ensemble(then, 'eager').fit(3, progress=False)
    assert all(deviation(a, b) < MANY[None] and same_rng(a, b) for a, b in zip(whole, then)) and deviation(*whole) > .01


def test_labels_are_where_the_rows_are(monkeypatch):
    "Else every minibatch would take all of them there"
    monkeypatch.setattr('gan_nbdev.support.devices.devices', lambda: ['meta'])
    there = Samples(plane, labels=torch.arange(200) % 2).labelled.source(16, torch.Generator(), 'meta').data
    assert there.x.device == there.labels.device == torch.device('meta')


def no_triton(*_): raise RuntimeError('Cannot find a working triton installation')
def no_memory(*_): raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')


@pytest.fixture
def compiling(monkeypatch):
    "Long runs, which are compiled; a function that puts a compiler in the place of torch's"
    monkeypatch.setattr(together, 'seconds_saved', lambda *_: 100.)
    monkeypatch.setattr(together, 'has_compiler', lambda: True)
    return lambda compiler: monkeypatch.setattr('torch._inductor.compile_fx.compile_fx', compiler)


def longer(engine):
    t = make(engine, **cuda)
    t.length = 60_000
    return t


def test_without_a_compiler_long_runs_are_graphed(gpus, compiling):
    compiling(no_triton)
    for run in lambda: fit(longer('auto'), 2), lambda: ensemble('auto', n=2).fit(2, progress=False):
        with pytest.warns(UserWarning, match='triton installation. Training goes on with the graphed engine') as told: run()
        assert len(told) == 1
    assert len(gpus.captured) == 2
    for run in lambda: fit(longer('compiled'), 2), lambda: ensemble('compiled', n=2).fit(2, progress=False):
        with pytest.raises(ValueError, match='triton installation'): run()


@pytest.mark.parametrize('engine', ['auto', 'compiled', 'graphed'])
def test_no_memory_is_no_fault_of_the_gan(gpus, compiling, monkeypatch, engine):
    if engine == 'graphed': monkeypatch.setattr(torch.cuda, 'CUDAGraph', no_memory)
    else: compiling(no_memory)
    for run in lambda: fit(longer(engine), 2), lambda: ensemble(engine, n=2).fit(2, progress=False):
        with pytest.raises(torch.OutOfMemoryError): run()


def test_rows_are_drawn_alike_beside_other_programs(gpus):
    for gpus.free in TOTAL, 0: assert isinstance(Samples(rows).source(8, device='cuda'), Source)


def test_rows_too_many_for_the_gpu_stay_where_they_are(gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (rows.nbytes, 2*rows.nbytes - 1))
    assert isinstance(Samples(rows).source(8, device='cuda'), StreamSource)
