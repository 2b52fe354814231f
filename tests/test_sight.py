"""What a fast engine must see: wherever Python keeps the weight of a loss, a change of it counts from the next iteration.

Each place gives a function that reads the weight, and one that brings it from 1 to 5; a hook calls that after
iteration 10. Reading must not go through the test itself, so each place has functions of its own.
"""
import array, builtins, collections, contextvars, decimal, functools, itertools, math, os, random, sys, threading, types
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, Sampler, TensorDataset, WeightedRandomSampler

from gan_nbdev.all import *
from gan_nbdev.engines.choice import engines
from gan_nbdev.engines.recorded import Recorded


@pytest.fixture(autouse=True)
def recorded_by_name(monkeypatch): monkeypatch.setitem(engines, 'recorded', Recorded)

def d_loss(real, fake): return softplus(-real).mean() + softplus(fake).mean()

class At:
    def __init__(self, act): self.act = act
    def after_iteration(self, t):
        if t.iteration == 10: self.act()

def weights_after(engine, place, n=20):
    "The place is a function of no arguments that gives (read, change); read belongs to G's loss"
    read, change = place()
    def g_loss(fake): return read()*softplus(-fake).mean()
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), noise=normal(2))
    t = Trainer(gan, ring(), batch_size=16, engine=engine, game=Game(d_loss, g_loss), hooks=[At(change)])
    t.fit(n, progress=False)
    return torch.cat([p.detach().flatten() for p in gan.parameters()])

settings = {}
def put(w): settings['w'] = w
places = {}
def place(f): places[f.__name__] = f; return f
def of_settings(name, make):
    "A place that reads the global `settings` by a detour: `make` gives the reader"
    def f(): put(1.); return make(), lambda: put(5.)
    places[name] = f

@place
def tuple_of_a_class():
    class C: b = 1., 2.
    return (lambda: C.b[0]), lambda: setattr(C, 'b', (5., 2.))
@place
def namespace_of_a_class():
    class C: o = SimpleNamespace(w=1.)
    return (lambda: C.o.w), lambda: setattr(C.o, 'w', 5.)
@place
def class_within_a_class():
    class C:
        class inner: w = 1.
    return (lambda: C.inner.w), lambda: setattr(C.inner, 'w', 5.)
@place
def dataclass_default():
    @dataclass
    class C: w: float = 1.
    return (lambda: C.w), lambda: setattr(C, 'w', 5.)
@place
def two_classes_of_one_name():
    def make():
        class C: w = 1.
        return C
    a, b = make(), make()
    return (lambda: a.w*b.w), lambda: setattr(a, 'w', 5.)
@place
def numpy_scalar_gone_and_back():
    o = SimpleNamespace(w=np.float32(1))
    def change(): o.w = None; o.w = np.float32(5)
    return (lambda: float(o.w)), change
@place
def array_of_records():
    a = np.zeros(1, dtype=[('w', 'f8')]); a['w'] = 1
    def change(): a['w'] = 5
    return (lambda: float(a['w'][0])), change
@place
def array_of_objects():
    a = np.array([1., None], dtype=object)
    def change(): a[0] = 5.
    return (lambda: a[0]), change
@place
def deep_dict():
    d = {'a': {'b': {'c': {'d': {'e': {'f': {'w': 1.}}}}}}}
    inner = d['a']['b']['c']['d']['e']['f']
    return (lambda: d['a']['b']['c']['d']['e']['f']['w']), lambda: inner.update(w=5.)
@place
def order_of_a_dict():
    d = collections.OrderedDict(a=1., b=5.)
    return (lambda: next(iter(d.values()))), lambda: d.move_to_end('a')
@place
def long_list():
    v = [1.]*3000
    def change(): v[2000] = 5.
    return (lambda: v[2000]), change
@place
def long_dict():
    d = dict.fromkeys(range(1000), 1.)
    return (lambda: d[500]), lambda: d.update({500: 5.})
@place
def default_by_keyword():
    def w(*, o=1.): return o
    return w, lambda: w.__kwdefaults__.update(o=5.)
@place
def long_list_of_objects():
    v = [SimpleNamespace(w=1.) for _ in range(1500)]
    return (lambda: v[1400].w), lambda: setattr(v[1400], 'w', 5.)
@place
def object_in_a_set():
    class O:
        w = 1.
        def __repr__(self): return 'O'
    o = O(); s = {o}
    return (lambda: sum(v.w for v in s)), lambda: setattr(o, 'w', 5.)
@place
def numbers_of_c():
    a = array.array('d', [1.])
    def change(): a[0] = 5.
    return (lambda: a[0]), change
@place
def bytes_that_change():
    a = bytearray([1])
    def change(): a[0] = 5
    return (lambda: a[0]), change
@place
def user_dict():
    d = collections.UserDict(w=1.)
    return (lambda: d['w']), lambda: d.update(w=5.)
@place
def decimal_number():
    o = [decimal.Decimal(1)]
    def change(): o[0] = decimal.Decimal(5)
    return (lambda: float(o[0])), change
@place
def data_frame():
    o = pd.DataFrame(dict(w=[1.]))
    def change(): o.loc[0, 'w'] = 5.
    return (lambda: float(o.w[0])), change
@place
def of_a_thread():
    o = threading.local(); o.w = 1.
    return (lambda: o.w), lambda: setattr(o, 'w', 5.)
@place
def environment():
    os.environ['GAN_TEST_W'] = '1'
    return (lambda: float(os.environ['GAN_TEST_W'])), lambda: os.environ.update(GAN_TEST_W='5')
context = contextvars.ContextVar('w', default=1.)
@place
def context_variable():
    context.set(1.)
    return (lambda: context.get()), lambda: context.set(5.)
@place
def distribution_in_a_distribution():
    o = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(1), torch.ones(1)), 1)
    return (lambda: o.base_dist.scale.squeeze()), lambda: setattr(o.base_dist, 'scale', torch.tensor([5.]))
@place
def attribute_of_a_function():
    def read(): return read.w
    read.w = 1.
    return read, lambda: setattr(read, 'w', 5.)
@place
def code_of_a_function():
    def one(): return 1.
    def five(): return 5.
    return (lambda: one()), lambda: setattr(one, '__code__', five.__code__)
@place
def module_imported_within():
    m = sys.modules['gan_test_settings'] = types.ModuleType('gan_test_settings'); m.w = 1.
    def read():
        import gan_test_settings
        return gan_test_settings.w
    return read, lambda: setattr(m, 'w', 5.)
package = types.ModuleType('package'); package.part = types.ModuleType('package.part')
@place
def module_of_a_module():
    package.part.w = 1.
    return (lambda: package.part.w), lambda: setattr(package.part, 'w', 5.)
@place
def name_of_the_language():
    builtins.gan_test_w = 1.
    return (lambda: gan_test_w), lambda: setattr(builtins, 'gan_test_w', 5.)   # noqa: F821
@place
def constant_of_a_library():
    math.gan_test_w = 1.
    return (lambda: math.gan_test_w), lambda: setattr(math, 'gan_test_w', 5.)
def helper(n=5): return settings['w']
for i in range(5): exec(f'def helper{i}(): return {"helper" if i == 0 else f"helper{i - 1}"}()')
of_settings('calls_five_deep', lambda: lambda: helper4())   # noqa: F821
of_settings('wrapped', lambda: functools.wraps(softplus)(lambda: settings['w']))
class Detours:
    @property
    def prop(self): return settings['w']
    @staticmethod
    def static(): return settings['w']
    @classmethod
    def by_class(cls): return settings['w']
    def __getitem__(self, k): return settings['w']
    def __mul__(self, o): return settings['w']
    def __getattr__(self, k): return settings['w']
class Meta(type):
    @property
    def w(cls): return settings['w']
class OfMeta(metaclass=Meta): pass
class Descriptor:
    def __get__(self, o, kind=None): return settings['w']
class Described: w = Descriptor()
detours, described = Detours(), Described()
for name, read in dict(property=lambda: detours.prop, staticmethod=lambda: detours.static(), classmethod=lambda: detours.by_class(),
                       getitem=lambda: detours['w'], operator=lambda: detours*1, getattr=lambda: detours.any,
                       metaclass=lambda: OfMeta.w, descriptor=lambda: described.w).items():
    of_settings(name, lambda read=read: read)
class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x*settings['w']
    @staticmethod
    def backward(ctx, g): return g*settings['w']
of_settings('function_of_autograd', lambda: lambda: Scaled.apply(torch.ones(())))

@pytest.mark.parametrize('name', places)
def test_seen(name):
    a, b = (weights_after(e, places[name]) for e in ('eager', 'recorded'))
    assert (a - b).abs().max() < 1e-5
    assert (a - weights_after('eager', lambda: ((lambda: 1.), int))).abs().max() > 1e-3   # it does change something

def count():
    c = itertools.count()
    return lambda: 5. if next(c) % 4 == 0 else 1.
def generator():
    def f():
        while True: yield from (5., 1., 1., 1.)
    c = f()
    return lambda: next(c)
def cycle():
    c = itertools.cycle([5., 1., 1., 1.])
    return lambda: next(c)
def list_iterator():
    c = iter([5., 1.]*1000)
    return lambda: next(c)
def all_names():
    put(1.)
    return lambda: globals()['settings']['w']
def lock():
    c = threading.Lock()
    return lambda: 5. if c.locked() else 1.

@pytest.mark.parametrize('make, what', [(count, 'a count'), (generator, 'a generator'), (cycle, 'a cycle'), (list_iterator, 'a list_iterator'),
                                        (all_names, r'globals\(\)'), (lock, 'a lock')])
def test_what_cannot_be_followed_is_refused(make, what):
    "By name, before it has moved"
    with pytest.raises(ValueError, match=f'only the eager engine .* could look at .*{what}'): weights_after('recorded', lambda: (make(), int))

def test_members_may_not_share_an_iterator():
    c = itertools.count()
    def g_loss(fake): return next(c)*softplus(-fake).mean()
    game = Game(d_loss, g_loss)
    def member(i): return Trainer(GAN(mlp_generator(2, 2, (8,), seed=i), mlp_discriminator(2, (8,), seed=i), noise=normal(2)), ring(), batch_size=16, game=game)
    with pytest.raises(ValueError, match='a count'): Ensemble([member(0), member(1)])
    assert next(c) == 0

# ---- data that draw random numbers of their own

x = torch.randn(70, 2, generator=torch.Generator().manual_seed(0))
class Augmented(Dataset):
    def __len__(self): return 70
    def __getitem__(self, i): return x[i] + .1*torch.randn(2)
def seven(): return torch.Generator().manual_seed(7)
class Turned(Augmented):
    def __getitem__(self, i): return x[i]*random.choice([-1, 1])
class Permuted(Sampler):
    def __init__(self): pass
    def __iter__(self): return iter(np.random.permutation(70).tolist())
    def __len__(self): return 70
class Drawn(IterableDataset):
    def __iter__(self):
        for o in x: yield o*random.choice([-1, 1])*np.random.rand() + torch.rand(2)
loaders = dict(
    shuffled=lambda: DataLoader(TensorDataset(x), 16, shuffle=True, generator=seven()),
    sampler=lambda: DataLoader(TensorDataset(x), 16, sampler=RandomSampler(x, replacement=True, generator=seven())),
    weighted=lambda: DataLoader(TensorDataset(x), 16, sampler=WeightedRandomSampler(torch.ones(70), 70, generator=seven())),
    augmented=lambda: DataLoader(Augmented(), 16, shuffle=True), dataset=Augmented,
    by_python=lambda: DataLoader(Turned(), 16, shuffle=True), by_numpy=lambda: DataLoader(TensorDataset(x), 16, sampler=Permuted()),
    in_order=lambda: Stream(Drawn()), loaded_in_order=lambda: DataLoader(Drawn(), 16))
drawn = 'augmented', 'dataset', 'by_python', 'by_numpy', 'in_order', 'loaded_in_order'

def trained_on(data, engine='eager', **kw):
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), noise=normal(2))
    return Trainer(gan, data, batch_size=16, engine=engine, **kw)
def all_of(t): return torch.cat([p.detach().flatten() for p in t.gan.parameters()])

@pytest.mark.parametrize('name', [o for o in loaders if o not in drawn])
@pytest.mark.parametrize('at', [0, 3, 4, 8])
def test_a_loader_with_a_generator_of_its_own_goes_on(tmp_path, name, at):
    "Resumed, gone on and rewound: to the bit; between epochs (of 4 minibatches) as within one"
    want = all_of(trained_on(loaders[name]()).fit(14, progress=False))
    b = trained_on(loaders[name]()).fit(at, progress=False); b.save(tmp_path/'c')
    assert (all_of(trained_on(loaders[name]()).load(tmp_path/'c').fit(14 - at, progress=False)) == want).all()
    assert (all_of(b.fit(14 - at, progress=False)) == want).all()
    assert (all_of(b.load(tmp_path/'c').fit(14 - at, progress=False)) == want).all()
    assert (all_of(trained_on(loaders[name](), 'recorded').fit(14, progress=False)) - want).abs().max() < 1e-5

@pytest.mark.parametrize('name', drawn)
def test_what_is_drawn_can_be_kept_and_resumed(tmp_path, name):
    "By torch, Python or NumPy, in a dataset or its order: to the bit, and others' random numbers stay theirs"
    want = all_of(trained_on(loaders[name]()).fit(14, progress=False))
    assert (all_of(trained_on(loaders[name](), hooks=[Checkpoints(tmp_path/'kept', every=5)]).fit(14, progress=False)) == want).all()
    for at in (3, 6):
        b = trained_on(loaders[name]()).fit(at, progress=False); b.save(tmp_path/f'at{at}')
        random.gauss(0, 1)   # which leaves a number behind in Python's state
        resumed = trained_on(loaders[name]()).load(tmp_path/f'at{at}')
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
        assert (all_of(resumed.fit(14 - at, progress=False)) == want).all()
        assert (all_of(b.load(tmp_path/f'at{at}').fit(14 - at, progress=False)) == want).all()
        assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    state = resumed.state_dict(); state['source'].pop('begun', None); resumed.load_state_dict(state)   # as an older one
    state = resumed.state_dict(); state['source']['begun'] = dict(state['net_rng'], python=(3, (1, 2), None))
    with pytest.raises(ValueError, match='does not fit'): resumed.load_state_dict(state)

def test_a_loader_that_was_gone_through_is_the_same_data(tmp_path):
    def make(): return DataLoader(TensorDataset(x), 16, shuffle=True, num_workers=1, persistent_workers=True)
    trained_on(make()).fit(2, progress=False).save(tmp_path/'c')
    assert trained_on(make()).load(tmp_path/'c').iteration == 2
    with pytest.raises(ValueError, match='data differs'): trained_on(DataLoader(TensorDataset(x + 1), 16, shuffle=True)).load(tmp_path/'c')

# ---- what an engine cannot give, and settings that are assigned

class GradNorm:
    def after_iteration(self, t): t.log('grad', sum(p.grad.norm().item() for p in t.gan.parameters() if p.grad is not None))
def half_back(discriminator):
    for p in discriminator.parameters():
        if p.grad is not None: p.add_(p.grad, alpha=.01)

@pytest.mark.parametrize('kw', [dict(hooks=[GradNorm()]), dict(game=games['hinge']._replace(d_after=(half_back,)))])
def test_who_reads_gradients_is_refused(kw):
    with pytest.raises(ValueError, match=r'gradients \(.grad\)'): trained_on(ring(), 'recorded', **kw).fit(2, progress=False)
    trained_on(ring(), **kw).fit(2, progress=False)

def test_a_second_group_of_parameters_is_refused():
    t = trained_on(ring(), 'recorded').fit(2, progress=False)
    group = t.d_opt.param_groups[0]
    last = group['params'][-2:]
    group['params'] = group['params'][:-2]
    t.d_opt.add_param_group(dict(params=last, lr=.5))
    with pytest.raises(ValueError, match='one group of parameters'): t.fit(2, progress=False)
    assert t.iteration == 2

def test_terms_are_where_an_engine_leaves_them():
    class Reads:
        def after_iteration(self, t): t.terms['penalty']
    t = trained_on(ring(), game='wgan-gp').fit(2, progress=False).change(engine='recorded')
    t.hooks = [Reads()]
    with pytest.raises(ValueError, match=r"history\['penalty'\]"): t.fit(2, progress=False)

def test_members_share_no_part_of_a_network():
    first, last = nn.Linear(2, 8), nn.Linear(8, 1)
    def member(): return Trainer(GAN(mlp_generator(2, 2, (8,)), nn.Sequential(nn.Linear(2, 8), nn.Tanh(), last), noise=normal(2)), ring(), batch_size=16)
    with pytest.raises(ValueError, match='share one, or a part'): Ensemble([member(), member()])

def test_players_share_no_memory():
    v = torch.zeros(10)
    def layer(at):
        m = nn.Linear(2, 2, bias=False); m.weight = nn.Parameter(v[at:at + 4].view(2, 2)); return m
    with pytest.raises(ValueError, match='the same numbers'): GAN(nn.Sequential(layer(0)), nn.Sequential(layer(2), nn.Linear(2, 1)), noise=normal(2))
    GAN(nn.Sequential(layer(0)), nn.Sequential(layer(4), nn.Linear(2, 1)), noise=normal(2))

@pytest.mark.parametrize('change, what', [(lambda t: t.gan.discriminator[0].requires_grad_(False), 'frozen differs'),
                                          (lambda t: t.gan.discriminator.eval(), 'in eval mode differs')])
def test_a_state_fits_networks_that_train_alike(tmp_path, change, what):
    t = trained_on(ring()); change(t); t.fit(2, progress=False).save(tmp_path/'c')
    with pytest.raises(ValueError, match=what): trained_on(ring()).load(tmp_path/'c')
    u = trained_on(ring()); change(u)
    assert u.load(tmp_path/'c').iteration == 2

@pytest.mark.parametrize('name, bad, good', [('k', 0, 2), ('k_g', 2.5, 2), ('accumulate', 0, 2), ('batch_size', -1, 8), ('engine', 'fast', 'eager'),
                                             ('precision', 'fp8', 'bf16'), ('game', 'hing', 'hinge'), ('hooks', [print], ())])
def test_settings_that_are_assigned_are_checked(name, bad, good):
    t = trained_on(ring())
    was = getattr(t, name)
    with pytest.raises(ValueError): setattr(t, name, bad)
    assert getattr(t, name) == was
    setattr(t, name, good)
    t.fit(2, progress=False)

def test_a_rule_that_is_assigned_counts_and_data_stay():
    t = trained_on(ring()); t.d_rule = momentum_sgd(.1)
    assert type(t.d_opt) is torch.optim.SGD and t.d_opt.param_groups[0]['lr'] == .1
    with pytest.raises(ValueError, match='data of a trainer'): t.data = ring()

def test_probability_of_classes_that_are_none():
    gan = GAN(mlp_generator(2, 2, (8,), classes=3), mlp_discriminator(2, (8,), classes=3), noise=normal(2), classes=3)
    v = torch.zeros(4, 2)
    assert gan.prob(v, 1).equal(gan.prob(v, torch.ones(4, dtype=torch.long))) and gan.prob(v, np.ones(4, dtype=np.uint16)).equal(gan.prob(v, 1))
    for y in (7, [1, 2, 3, 3], 1.5):
        with pytest.raises(ValueError, match='from 0 to 2'): gan.prob(v, y)
    with pytest.raises(ValueError, match=r'x must have shape \(n, 2\), not \(4, 3\)'): gan.prob(torch.zeros(4, 3), 1)
    for z, told in ((torch.zeros(4, 3), r'shape \(n, 2\), not \(4, 3\)'), (torch.zeros(2), r'not \(2,\)'), ([[0., 0.]], 'a tensor')):
        with pytest.raises(ValueError, match='z must .*' + told): gan.generate(z)

# ---- what is told of networks and records

@pytest.mark.parametrize('net, n', [
    (nn.GRU(4, 4, batch_first=True), 120), (torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 1)), 4),
    (torch.jit.script(nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1))), 33)])
def test_all_parameters_are_counted(net, n):
    class D(nn.Module):
        def __init__(self): super().__init__(); self.first, self.net, self.token = nn.Linear(2, 4), net, nn.Parameter(torch.zeros(3))
        def forward(self, x):
            if isinstance(self.net, nn.GRU): return self.net(self.first(x)[:, None])[0][:, 0, :1]
            return self.net(x)
    d = D()
    said = repr(GAN(mlp_generator(2, 2, (8,)), d, noise=normal(2)))
    used = sum(p.numel() for p in d.parameters())
    assert n <= used and f'{used:,}' in said.replace('\n', ' ')

def test_odd_records_and_places_are_one_line():
    assert diagnose({}) == ['Too early to say: 0 iterations']
    t = trained_on(ring())
    with pytest.raises(ValueError, match='not Trainer'): diagnose(t)
    packed = GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,), pack=2), noise=normal(2), pack=2)
    with pytest.raises(ValueError, match='2 items at once'): plot_probability(packed, ring())
    with pytest.raises(ValueError, match='not None'): plot_probability(t.gan, None)

def test_players_share_no_running_means():
    norm = nn.BatchNorm1d(2).requires_grad_(False)
    def gan(): return GAN(nn.Sequential(nn.Linear(2, 2), norm), nn.Sequential(norm, nn.Linear(2, 1)), noise=normal(2))
    with pytest.raises(ValueError, match='generator.1 is in both networks'): gan()
    norm.eval(); gan()
