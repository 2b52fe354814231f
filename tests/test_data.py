"What does not fit a notebook: densities against samplers, interrupted streams, odd inputs."
import copy, math, pickle
import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st, HealthCheck
from hypothesis.extra import numpy as hnp
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from gan_nbdev.datasets import samples
from gan_nbdev.datasets.shapes import *
from gan_nbdev.data import *
from gan_nbdev.metrics import coverage
from gan_nbdev.datasets.samples import *
from gan_nbdev.datasets.streams import *

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

def rng(seed=0): return torch.Generator().manual_seed(seed)

def midpoints(extent, n):
    "Midpoints (n^d, d) of the cells of a box, n along each axis, and the volume of a cell"
    box,u = extent.double().tolist(), (torch.arange(n, dtype=torch.float64)+.5)/n
    x = torch.cartesian_prod(*[a+(b-a)*u for a,b in box]).reshape(-1, len(box))
    return x, math.prod((b-a)/n for a,b in box)

def mass(dist, n):
    "The probability of each cell of the n^d grid, by the midpoint rule"
    x,vol = midpoints(dist.extent, n)
    return dist.log_prob(x).exp()*vol

# cells fine enough for each: about half a standard deviation
fine = dict(ring=520, grid=440, mixture_1d=400, two_moons=160, swiss_roll=140, checkerboard=220)
def tilted():
    return GaussianMixture([[0,0],[3,1]], cov=[[[1,.8],[.8,1]],[[.3,0],[0,.1]]], weights=[.7,.3])
def stretched():
    return GaussianMixture([[0,0],[4,1],[1,1]], [[1,.3],[.5,.5],[.2,2]], weights=[.5,0,.5])
builders = {**shapes, 'tilted':tilted, 'stretched':stretched}

@pytest.mark.parametrize('name', builders)
def test_density_integrates_to_one(name):
    assert abs(mass(builders[name](), fine.get(name, 200)).sum().item()-1) < 1e-3

def chi_square(dist, x, n, bins):
    "Excess of the chi-square statistic over its expectation, in its own standard deviations"
    p = mass(dist, n)
    lo,hi = dist.extent.double().unbind(1)
    which = lambda x: ((x.double()-lo)/(hi-lo)*bins).floor().clamp(0, bins-1).long()
    flat = lambda x: (which(x)*bins**torch.arange(dist.dim)).sum(1)
    cell = flat(midpoints(dist.extent, n)[0])
    expected = cell.bincount(p, minlength=bins**dist.dim)*len(x)
    observed = flat(x).bincount(minlength=len(expected)).double()
    big = expected >= 8
    e,o = (torch.cat([v[big], v[~big].sum()[None]]) for v in (expected, observed))
    e,o = (e,o) if e[-1] >= 8 else (e[:-1], o[:-1])
    df = len(e)-1
    assert df >= 3
    return (((o-e)**2/e).sum().item()-df)/math.sqrt(2*df)

# bins whose edges lie on edges of the fine cells
@pytest.mark.parametrize('name,bins', dict(
    ring=260, grid=220, mixture_1d=50, two_moons=40, swiss_roll=35,
    checkerboard=44, line=40, two_gaussians=40, blobs=40, point=40, tilted=40, stretched=40).items())
def test_sampler_follows_density(name, bins):
    dist = builders[name]()
    n = 4*bins if name in ('swiss_roll', 'two_moons', 'ring', 'grid') else fine.get(name, 200)
    assert abs(chi_square(dist, dist.sample(50_000, rng(1)), n, bins)) < 4.5

@pytest.mark.parametrize('right,wrong,bins', [
    (ring(), ring(std=.011), 260), (grid(), grid(std=.055), 220), (two_moons(), two_moons(.11), 40),
    (mixture_1d(), mixture_1d(weights=[.53,.47]), 50), (checkerboard(), grid(4, 1., .3), 44)])
def test_chi_square_sees_a_wrong_sampler(right, wrong, bins):
    n = 400 if right.dim == 1 else 5*bins if right.name == 'checkerboard' else 4*bins
    assert chi_square(right, wrong.sample(50_000, rng(1)), n, bins) > 6

@pytest.mark.parametrize('name', ['two_moons', 'swiss_roll'])
def test_curve_density_against_monte_carlo(name):
    dist,x = shapes[name](), shapes[name]().sample(20, rng(2)).double()
    c = dist.curve(torch.rand(400_000, generator=rng(3), dtype=torch.float64))
    p = torch.stack([(-((c-o)**2).sum(1)/(2*dist.std**2)).exp() for o in x])/(2*math.pi*dist.std**2)
    mean,err = p.mean(1), p.std(1)/math.sqrt(p.shape[1])
    assert ((dist.log_prob(x).exp()-mean).abs() < 4.5*err).all()

def test_curve_nodes_are_fine_enough():
    for dist in (two_moons(), swiss_roll(), two_moons(.03)):
        step = (dist.nodes.means[1:]-dist.nodes.means[:-1]).norm(dim=1)
        assert (step < dist.std/15.9).sum() >= len(step)-1   # all but the jump between the moons

@pytest.mark.parametrize('squares', [1, 2, 3, 4, 5, 7, 16, 31, 64, 100])
def test_checkerboard_draws_never_cross_an_edge(squares, monkeypatch):
    board = checkerboard(squares)
    for u in (0., 2**-24, 1-2**-24):   # the least and the greatest that torch.rand can give
        monkeypatch.setattr(torch, 'rand', lambda *s, u=u, **_: torch.full(s, u))
        assert board.log_prob(board.sample(2000, rng())).isfinite().all()

def mixtures():
    num = lambda lo,hi: st.floats(lo, hi, width=32)
    def build(kd):
        k,d = kd
        means,std = hnp.arrays('f4', (k,d), elements=num(-8,8)), num(.0625,4)
        stds = std | hnp.arrays('f4', k, elements=std) | hnp.arrays('f4', (k,d), elements=std)
        w = hnp.arrays('f8', k, elements=st.floats(.01, 1)).map(lambda w: w/w.sum())
        return st.builds(GaussianMixture, means, stds, weights=st.none() | w)
    return st.tuples(st.integers(1,4), st.integers(1,3)).flatmap(build)

@quick
@given(mixtures(), st.integers(1, 9), st.integers(0, 2**60))
def test_any_mixture(mix, n, seed):
    x = mix.sample(n, rng(seed))
    assert x.shape == (n, mix.dim) and x.dtype == torch.float32 and x.isfinite().all()
    for same in (mix, pickle.loads(pickle.dumps(mix))):
        assert torch.equal(x, same.sample(n, rng(seed)))
    assert torch.equal(copy.deepcopy(mix).log_prob(x), mix.log_prob(x))
    # torch's own mixture is the judge
    own = MixtureSameFamily(Categorical(mix.weights.double()),
                            MultivariateNormal(mix.means.double(), scale_tril=mix.chol.double()))
    assert mix.log_prob(x).shape == (n,) and mix.mahalanobis(x).shape == (n, len(mix.means))
    assert torch.allclose(mix.log_prob(x.double()), own.log_prob(x.double()), atol=1e-5, rtol=1e-6)
    lo,hi = mix.extent.unbind(1)
    assert ((mix.means > lo) & (mix.means < hi)).all()

@quick
@given(mixtures())
def test_std_and_cov_say_the_same(mix):
    chol = mix.chol.double()
    other = GaussianMixture(mix.means, cov=chol @ chol.mT, weights=mix.weights)
    x = torch.randn(20, mix.dim, generator=rng())*5
    assert torch.allclose(mix.mahalanobis(x), other.mahalanobis(x), rtol=1e-4, atol=1e-4)
    assert torch.allclose(mix.sample(20, rng()), other.sample(20, rng()), atol=1e-4)

@quick
@given(st.integers(2, 6), st.floats(-12, 12), st.integers(0, 2**60))
def test_covariances_of_any_scale_in_float32(d, scale, seed):
    "`A @ A.T` need not be symmetric to the last bit; what is skewed beyond that is refused"
    A = torch.randn(d, d, generator=rng(seed))
    cov = (A @ A.T + torch.eye(d)) * 10**scale
    cov[0,-1] *= 1 + 1e-6
    chol = GaussianMixture(torch.zeros(1, d), cov=cov).chol[0]
    assert torch.allclose(chol @ chol.T, cov, rtol=0, atol=1e-5*cov.abs().max().item())
    cov[0,-1] += 1e-3*(cov[0,0]*cov[-1,-1]).sqrt()
    with pytest.raises(ValueError, match='symmetric'): GaussianMixture(torch.zeros(1, d), cov=cov)

def test_covariance_with_rounding_where_a_zero_should_be():
    cov = torch.tensor([[1., 3e-8], [-2e-8, 4.]])
    assert GaussianMixture([[0,0]], cov=cov).chol[0].diagonal().tolist() == [1., 2.]

def test_no_rows():
    for o in [b() for b in builders.values()]:
        x = o.sample(0, rng())
        assert x.shape == (0, o.dim) and o.log_prob(x).shape == (0,)
        if isinstance(o, GaussianMixture): assert o.mahalanobis(x).shape == (0, len(o.means))

def test_large_log_prob_is_done_in_pieces(monkeypatch):
    o,x = two_moons(), two_moons().sample(9000, rng())
    assert o._terms*9000 > 2**22
    one = torch.cat([o._log_prob(c) for c in x.split(1000)])
    assert torch.allclose(o.log_prob(x), one, atol=1e-5) and o.log_prob(x).shape == (9000,)

scales = st.sampled_from(['standard', 'unit', None, (3., 2.)])
sizes = st.tuples(st.integers(1,8), st.integers(1,4))
kinds = st.sampled_from(['f4', 'f8', 'i4', 'i8', 'u1', '>f4', '?'])

@quick
@given(hnp.arrays(kinds, sizes), scales)
@pytest.mark.filterwarnings('ignore')
def test_samples_take_anything_or_say_why_not(x, scale):
    try: s = Samples(x, scale)
    except ValueError as e:
        assert '\n' not in str(e) and ('must' in str(e) or 'never varies' in str(e))
    else: assert s.x.isfinite().all() and s.x.shape == x.shape and s.scaling.factor.isfinite().all()

@quick
@given(hnp.arrays('i4', sizes, elements=st.integers(-10**5, 10**5)), kinds, scales)
@pytest.mark.filterwarnings('ignore')
def test_samples_keep_units(x, kind, scale):
    x = x.astype(kind)
    if (x == x[0]).all():
        with pytest.raises(ValueError, match='x never varies'): Samples(x, scale)
        return
    s,v = Samples(x, scale), x.astype('f8')
    assert s.x.dtype == torch.float32 and s.x.shape == (len(s), s.dim) == x.shape
    assert np.allclose(s.unscale(s.x).numpy(), v, rtol=1e-6, atol=1e-6*np.abs(v).max())
    assert torch.allclose(s.scale(x.copy()), s.x)
    assert s.bounded == (0 <= s.x.min().item() and s.x.max().item() <= 1)
    assert s.bounded or scale != 'unit'
    if scale == 'standard':
        varies = (x != x[0]).any(0)
        assert s.x.double().mean(0).abs().max() < 1e-5
        assert np.allclose(s.x.double().numpy().std(0), varies, atol=1e-5)

@quick
@given(hnp.arrays('f8', (6,3), elements=st.floats(-1e6, 1e6)), st.integers(0,5), st.integers(0,2),
       st.sampled_from([math.nan, math.inf, -math.inf]))
def test_samples_name_the_first_bad_value(x, row, col, bad):
    x[row,col] = bad
    with pytest.raises(ValueError, match=f'not {bad} at row {row}, column {col} '): Samples(x)

@pytest.mark.parametrize('scale', ['auto', 'standard'])
def test_series_are_scaled_channel_by_channel(scale):
    x = torch.randn(300, 2, 50, generator=rng())*torch.tensor([[1.], [10.]]) + torch.arange(50.)
    s = Samples(x, scale, kind='series')
    assert torch.allclose(s.x.view(-1, 2, 50).transpose(0, 1).flatten(1).std(1, correction=0), torch.ones(2))
    if scale == 'standard': assert torch.allclose(Samples(x[:256], scale, kind='series').scaling.factor,
                                                    Stream(x[:256], scale=scale, kind='series').scaling.factor)

def test_samples_survive_large_offsets():
    # seconds since 1970, where neighbouring float32 numbers are 128 apart
    x = 1.7e9 + torch.arange(10., dtype=torch.float64)[:,None]
    s = Samples(x)
    assert torch.allclose(s.x.var(0, correction=0), torch.ones(1))
    assert torch.allclose(s.unscale(s.x), x, rtol=0, atol=1e-5)

def test_samples_too_large_for_the_device_are_streamed(monkeypatch):
    s = Samples(torch.randn(50, 3, generator=rng()), scale=None)
    monkeypatch.setattr(samples, '_fits', lambda x, device: False)
    src = s.source(10, rng(), 'cpu')
    assert isinstance(src, StreamSource)
    epoch = torch.cat([src.next() for _ in range(5)])
    assert torch.equal(epoch.sort(0).values, s.x.sort(0).values)

class Rows:
    "A map-style dataset: item i is (i, 2i)"
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i): return torch.tensor([i, 2*i]), i

class Flow(IterableDataset):
    "The same one after another"
    def __init__(self, n): self.n = n
    def __iter__(self): return (torch.tensor([i, 2*i]) for i in range(self.n))

@quick
@given(st.sampled_from([Rows, Flow]), st.integers(1,12), st.integers(0,3), st.integers(0,15),
       st.integers(0,2**62))
def test_stream_resumes_exactly(kind, n, spare, stop, seed):
    m = max(1, n-spare)
    go = Stream(kind(n)).source(m, rng(seed))
    for _ in range(stop): go.next()
    state = pickle.loads(pickle.dumps(go.state_dict()))
    again = Stream(kind(n)).source(m, rng(seed+1))
    again.load_state_dict(state)
    def place(source): return [source.state_dict()[k] for k in ('seed', 'epoch', 'batch')]
    assert place(again) == place(go)
    for _ in range(8):
        a,b = go.next(), again.next()
        assert torch.equal(a, b) and a.shape == (m,2)
    assert place(go) == place(again)

@quick
@given(st.integers(1,30), st.integers(1,30), st.integers(0,2**62))
def test_stream_epochs_have_no_repeats(n, m, seed):
    if n < m:
        why = rf'fewer rows \({n}\) than a minibatch \({m}\)'
        with pytest.raises(ValueError, match=why): Stream(Rows(n)).source(m)
        return
    src = Stream(Rows(n)).source(m, rng(seed))
    for epoch in range(2):
        seen = torch.cat([src.next() for _ in range(n//m)])[:,0].tolist()
        assert len(set(seen)) == len(seen) == n//m*m
        assert src.state_dict() == dict(seed=src.seed, epoch=epoch, batch=n//m)

def test_stream_shuffles_differently_by_epoch_and_seed():
    a,b = (Stream(Rows(100)).source(100, rng(s)) for s in (0,1))
    orders = [tuple(o.next()[:,0].tolist()) for o in (a,a,b,b)]
    assert len(set(orders)) == 4

def test_stream_workers_change_nothing():
    one,two = (Stream(Rows(12), num_workers=w).source(4, rng()) for w in (0,1))
    for _ in range(4): assert torch.equal(one.next(), two.next())

def test_global_generator_is_left_alone():
    before = torch.get_rng_state()
    samplers = [b() for b in shapes.values()] + [b(3) for b in noises.values()]
    for o in samplers + [Samples(np.eye(4)), Stream(Rows(9))]:
        o.sample(5); o.sample(5, rng())
        if hasattr(o, 'source'):
            for g in (None, rng()): [src.next() for src in [o.source(2, g)] for _ in range(6)]
    assert torch.equal(before, torch.get_rng_state())

def test_drawings_are_rounded_to_a_tenth_of_the_pen():
    for std in (1., .04, .001, .0001, 1e-9):
        got = drawn([[[0, 0], [25*std, 0]]], std=std).means.double()
        assert torch.allclose(got, torch.arange(26.)[:, None]*torch.tensor([std, 0.]).double(), rtol=0, atol=std/15)

def test_samples_rows_are_equally_likely():
    s = Samples(torch.arange(20.)[:,None], scale=None)
    counts = s.sample(100_000, rng())[:,0].long().bincount(minlength=20).double()
    assert abs((((counts-5000)**2/5000).sum().item()-19)/math.sqrt(38)) < 4.5

@pytest.mark.parametrize('name', noises)
@pytest.mark.parametrize('dim', [1, 2, 17])
def test_noise_has_unit_covariance(name, dim):
    z = noises[name](dim).sample(50_000, rng())
    assert z.shape == (50_000, dim) and z.isfinite().all()
    assert z.mean(0).abs().max() < .03
    assert (torch.cov(z.T).reshape(dim, dim)-torch.eye(dim)).abs().max() < .03

# ---- minibatches read at once

class Many(Dataset):
    "Counts how it is asked"
    def __init__(self, items): self.items, self.one, self.many = items, 0, 0
    def __len__(self): return len(self.items)
    def __getitem__(self, i): self.one += 1; return self.items[i]
    def __getitems__(self, numbers): self.many += 1; return [self.items[i] for i in numbers]

@pytest.mark.parametrize('of', [
    lambda x: x.float(), lambda x: x.to(torch.float16), lambda x: (x*40).to(torch.uint8), lambda x: x.double().numpy(),
    lambda x: x.numpy().astype('int16'), lambda x: [o if i % 2 else o.double().numpy() for i, o in enumerate(x)]],
    ids=['float32', 'half', 'uint8', 'double', 'int16', 'mixed'])
@pytest.mark.parametrize('classes', [None, 3])
def test_at_once_is_as_one_by_one(of, classes):
    x = torch.rand(50, 3, generator=rng(0))
    y, items = torch.arange(50) % 3, of(x)
    pairs = [*zip(items, y)]
    class Plain(Many): __getitems__ = None
    sets = [Plain(pairs), many := Many(pairs), Subset(Many(pairs), range(50))]
    if isinstance(items, torch.Tensor): sets.append(TensorDataset(items, y))
    streams = [Stream(d, classes=classes, scale=None) for d in sets]
    read = [(s.labelled if classes else s).source(20, rng(1)) for s in streams]
    asked = many.one
    for _ in range(5):
        a, *others = [s.next() for s in read]
        assert a.shape == (20, 3 + bool(classes)) and all(a.equal(o) for o in others)
    assert many.one == asked and many.many == 5

@pytest.mark.parametrize('wrong, why', [
    (np.ma.array([1., 2.], mask=[False, True]), 'masked'), (np.array([np.nan, 1.]), 'item 7 holds nan'),
    (np.ones(3), 'items differ in shape.*item 7'), (np.array([1 + 2j, 0]), 'numbers')], ids=['masked', 'nan', 'shape', 'complex'])
def test_at_once_names_the_item_that_is_wrong(wrong, why):
    items = [np.ones(2) for _ in range(40)]
    source = Stream(Many(items), scale=None).source(40, rng(0))
    items[7] = wrong
    with pytest.raises(ValueError, match=why): source.next()
    items[7] = np.ma.array([1., 2.], mask=False)   # nothing is hidden
    assert (Stream(Many(items), scale=None).source(40, rng(0)).next() == 2).sum() == 1

def test_a_label_that_is_none_is_named_in_columns():
    y = torch.arange(40) % 2
    source = Stream(TensorDataset(torch.rand(40, 2), y), classes=2, scale=None).labelled.source(40, rng(0))
    y[3] = 2
    with pytest.raises(ValueError, match='labels must be whole numbers from 0 to 1, not 2'): source.next()

@pytest.mark.parametrize('items', [TensorDataset(torch.rand(40, 2)), torch.ones(40, 2)], ids=['alone', 'whole numbers'])
def test_labels_asked_of_tensors_that_have_none(items):
    for made in (lambda: Stream(items, classes=2, scale=None), lambda: Loaded(DataLoader(items, 20), classes=2, scale=None)):
        with pytest.raises(ValueError, match='must be a pair'): made()

@pytest.mark.parametrize('label, said', [('a', "'a'"), (torch.eye(3)[1], r'tensor\(\[0., 1., 0.\]\)'), (np.nan, 'nan'), (np.inf, 'inf'), (1.5, '1.5')],
                         ids=['text', 'one-hot', 'nan', 'inf', 'part'])
def test_a_label_that_is_no_number_is_named_when_the_data_are_read(label, said):
    pairs = [(torch.rand(2), label) for _ in range(20)]
    for made in (lambda: Stream(pairs, classes=3), lambda: Loaded(DataLoader(pairs, 10), classes=3)):
        with pytest.raises(ValueError, match=f'^labels must be whole numbers from 0 to 2, not {said}$'): made()


class Turned(Dataset):
    "Items that a product makes"
    turn = torch.randn(2, 2, generator=torch.Generator().manual_seed(0))
    def __len__(self): return 40
    def __getitem__(self, i): return torch.tensor([[1., i/40]]) @ self.turn

def turned(n, dim, generator): return torch.randn(n, dim, generator=generator) @ Turned.turn

drawing = {
    'a mixture': lambda: GaussianMixture([[0., 0.], [3., 0.]], cov=[[1., .5], [.5, 1.]]), 'noise': lambda: Noise('turned', 2, turned),
    'a stream': lambda: Stream(Turned(), scale=None), 'a loader': lambda: Loaded(DataLoader(Turned(), batch_size=8), scale=None)}

@pytest.mark.parametrize('what', drawing)
def test_data_are_not_rounded_with_the_networks_products(what):
    def x():
        data, rng = drawing[what](), torch.Generator().manual_seed(0)
        return data.source(8, rng, 'cpu').next() if isinstance(data, Data) else data.sample(8, rng)
    exact = x()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(x(), exact)
        assert (exact @ exact.T).dtype == torch.bfloat16

def test_a_component_of_weight_0_is_no_mode():
    m = GaussianMixture([[0., 0.], [5., 0.], [9., 9.]], std=.1, weights=[.5, .5, 0.])
    assert len(m.means) == 2 and m.extent[1, 1] < 1 and m.weights.tolist() == [.5, .5]
    assert coverage(m.sample(500), m)[:2] == (2, 2) and coverage(torch.full((9, 2), 9.), m) == (0, 2, 0.)
    assert len(mixture_1d([0., 1.], weights=[1., 1e-60]).means) == 1   # which float32 does not tell from 0
