"Slower and property-based checks of `gan_nbdev.metrics`"
import gzip
import math
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from gan_nbdev.data import GaussianMixture, grid, ring
from gan_nbdev.metrics import (SIGMAS, cell_shares, coverage, diagnose, js_divergence, jsd, jsd_floor, kl_divergence, nearest_classes,
                               metrics, parzen, parzen_log_prob, parzen_sigma, perfect_share, true_shares)
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.shapes import shapes
from gan_nbdev.measures.two_samples import compare

LOG2 = math.log(2)
counts = st.lists(st.integers(0, 1000), min_size=2, max_size=20).filter(any)
seeds = st.integers(0, 2**31 - 1)

def rng(seed): return torch.Generator().manual_seed(seed)
def masses(c): return torch.tensor(c, dtype=torch.float64)/sum(c)
def kl(p, m): return (p*(p/m).log())[p > 0].sum().item()


x50, box, halves = torch.randn(50, 2, generator=rng(0)), ring().extent, [.5, .5]
photos = Samples(torch.rand(30, 8, 8, 3, generator=rng(1)))
whole, above_0 = 'must be a whole number of at least 1, not', 'must be a number above 0, not'

refused = {
    **{f'{f.__name__}, bins={v!r}': (lambda f=f, a=a, v=v: f(*a, bins=v), f'bins {whole}') for v in (True, 3.5, '3', 0, -2)
       for f, a in ((jsd, (x50, ring())), (jsd_floor, (9, ring())), (true_shares, (ring(),)), (cell_shares, (x50, box)))},
    **{f'{f.__name__}, n_ref={v!r}': (lambda f=f, a=a, v=v: f(*a, n_ref=v), f'n_ref {whole}') for v in (True, 3.5, 0)
       for f, a in ((jsd, (x50, ring())), (jsd_floor, (9, ring())), (true_shares, (ring(), 8)))},
    **{f'a floor for n={v!r}': (lambda v=v: jsd_floor(v, ring()), f'n {whole}') for v in (0, 99.5, '100', True)},
    **{f'a floor of {v!r} repeats': (lambda v=v: jsd_floor(9, ring(), repeats=v), f'repeats {whole}') for v in (0, 1.5)},
    'shares of no density': (lambda: true_shares(Samples(x50), 8), 'jsd needs a known density'),
    'a box that is reversed': (lambda: cell_shares(x50, box.flip(1), 3), 'extent must be .lowest, highest. of each axis'),
    'a box without width': (lambda: cell_shares(x50, [[0, 1], [1, 1]], 3), 'extent must be .lowest, highest. of each axis'),
    'a box of one axis': (lambda: cell_shares(x50, [0, 1], 3), 'extent has shape'),
    'a box without end': (lambda: cell_shares(x50, [[0, 1], [0, math.inf]], 3), 'extent must be finite, not inf'),
    **{f'a share in {v!r} dimensions': (lambda v=v: perfect_share(v), f'dim {whole}') for v in (0, -1, 1.5, True)},
    **{f'{f.__name__}, n_std={v!r}': (lambda f=f, a=a, v=v: f(*a, n_std=v), f'n_std {above_0}') for v in (True, '3', -1, 0, math.nan)
       for f, a in ((perfect_share, (2,)), (coverage, (x50, ring())))},
    **{f'{f.__name__} of {v}, {i}': (lambda f=f, a=a: f(*a), f'{"pq"[i]} must') for f in (kl_divergence, js_divergence)
       for v in ([math.nan, .5], [math.inf, .5], ['a', 'b'], [.5j, .5]) for i, a in enumerate(((v, halves), (halves, v)))},
    'masses of nothing': (lambda: kl_divergence([], []), 'p and q must not be empty'),
    **{f'σ = {v!r}': (lambda v=v: parzen(x50, x50, v), f'sigma {above_0}') for v in (math.inf, math.nan, 0, True, '1')},
    **{f'{f.__name__}, chunk={v!r}': (lambda f=f, s=s, v=v: f(x50, x50, s, chunk=v), f'chunk {whole}') for v in (1.5, 0, True)
       for f, s in ((parzen, 1.), (parzen_sigma, [1.]), (parzen_log_prob, [1.]))},
    **{f'{f.__name__}, σ of {v!r}': (lambda f=f, v=v: f(x50, x50, v), 'sigmas ') for f in (parzen_sigma, parzen_log_prob)
       for v in ([], .1, [1, math.nan], ['a'], [1., 0.], [math.inf])},
    'a σ whose square is 0': (lambda: parzen(x50, x50, 1e-200), 'squared distances overflow'),
    **{f'{f.__name__} of complex samples': (lambda f=f, a=a: f(x50*1j, *a), '(samples|centres) must hold real numbers, not torch.complex64')
       for f, a in ((metrics, (ring(),)), (coverage, (ring(),)), (jsd, (ring(),)), (parzen, (x50, 1.)), (cell_shares, (box, 3)))},
    'sparse samples': (lambda: coverage(x50.to_sparse(), ring()), r'samples is a sparse tensor: give x.to_dense\(\)'),
    **{f'items of shape {s}': (lambda s=s: metrics(torch.rand(5, *s), photos), rf'^samples must have shape \(n, 8, 8, 3\) or \(n, 192\), not \(n, {", ".join(map(str, s))}\)$')
       for s in ((3, 8, 8), (16, 4, 3), (8, 24), (9, 9, 9))},
    'real items of another shape': (lambda: metrics(photos.x, photos, photos.x, photos.x.reshape(-1, 3, 8, 8)), 'samples must have shape'),
    'a floor of 2**63 samples': (lambda: jsd_floor(2**63, ring()), r'n must be a whole number of at least 1 and below 2\*\*63'),
    **{f'{v:g} bins': (lambda v=v: jsd(x50, ring(), v), rf'bins must be fewer than {v}: {v}\*\*2 cells do not fit into memory')
       for v in (10**7, 10**10)},
    **{f'{v:g} against {what}': (lambda v=v, o=o: metrics(torch.full((20, 2), v, dtype=torch.float64), o),
                                r"^samples, in float32 and the model's units, must be finite, but row 0 is not$")
       for v in (1e39, -1e300) for what, o in (('rows', x50.numpy()), ('a scaled table', pd.DataFrame(x50.numpy(), columns=[*'ab'])))},
    **{f'n_ref={v:g}, {f.__name__}': (lambda f=f, v=v, a=a: f(*a, n_ref=v), 'n_ref must be fewer than .*: so many draws do not fit into memory') for v in (2**63 - 1, 2**62, 10**15)
       for f, a in ((jsd_floor, (5, ring())), (true_shares, (ring(), 8)))},
    'classes of nothing': (lambda: nearest_classes([[1.]], None), 'NoneType has no labels'),
    'a diagnosis of half a coverage': (lambda: diagnose(dict(d_loss=np.zeros(300)), .5), '^coverage must be a Coverage, .* not 0.5$'),
    **{f'masses that sum to a little {k}': (lambda v=v: js_divergence(v, [.5, .5]), f'^masses must sum to 1, but those of p to {s}$')
       for k, v, s in (('more', [.5, .5000015], '1.0000015'), ('less', [.5, .4999985], '0.9999985'))},
    'a mass below 0': (lambda: kl_divergence([.5, .5], [1.5, -.5]), '^masses must be ≥ 0, but q has -0.5$'),
    'a diagnosis of no losses': (lambda: diagnose(dict(a=np.zeros(300))), 'history has no d_loss: give trainer.history'),
}

@pytest.mark.parametrize('what', refused)
@pytest.mark.filterwarnings('error')
def test_metrics_refuse_in_one_line(what):
    do, line = refused[what]
    with pytest.raises(ValueError, match=line) as e: do()
    assert len(str(e.value).splitlines()) == 1

def test_all_items_are_near_at_any_distance(): assert perfect_share(2, 1e200) == perfect_share(3, 10**200) == 1

def test_lists_of_tensors_are_as_good_as_tensors():
    x = ring().sample(9, rng(0)).requires_grad_()
    assert coverage([*x], ring()) == coverage(x, ring()) and jsd([o.bfloat16() for o in x], ring()) == jsd(x.bfloat16(), ring())

def test_lists_are_diagnosed_as_arrays_are():
    history = dict(d_loss=[1.4]*200, g_loss=[.7]*200, value=[-1.4]*200, d_real=[.5]*200, d_fake=[.5]*200)
    assert diagnose(history) == diagnose({k: np.array(v) for k, v in history.items()})


@pytest.mark.parametrize('shape, own', [((8, 8, 3), (8, 8, 3)), ((8, 8, 3), (192,)), ((8, 8), (1, 8, 8)), ((8, 8, 1), (8, 8)),
                                        ((192,), (3, 8, 8)), ((8, 8, 3), (1, 192))], ids=str)
def test_items_in_any_shape_that_leaves_their_numbers_in_order(shape, own):
    real, x = torch.rand(2, 30, math.prod(shape), generator=rng(0))
    data = Samples(real.reshape(-1, *shape))
    assert metrics(x.reshape(-1, *own), data) == metrics(x, data)


# coverage

def test_a_sample_exactly_so_far_away_is_near():
    one = GaussianMixture(torch.zeros(1, 2), std=1.)
    assert coverage(torch.tensor([[3., 0.], [3.01, 0.]]), one).high_quality == .5


# Jensen–Shannon divergence

@given(counts, st.randoms())
def test_js_divergence_is_what_the_definition_says(c, random):
    other = random.sample(c, len(c))
    p, q = masses(c), masses(other)
    m = (p + q)/2
    got = js_divergence(p, q)
    assert 0 <= got <= LOG2
    assert got == pytest.approx((kl(p, m) + kl(q, m))/2, abs=1e-10)
    assert got == pytest.approx(js_divergence(q, p), abs=1e-12)
    assert got <= LOG2*(p - q).abs().sum().item()/2 + 1e-12   # log 2 times total variation

@given(counts)
def test_js_divergence_of_equals_and_of_strangers(c):
    p, none = masses(c), torch.zeros(len(c), dtype=torch.float64)
    assert js_divergence(p, p) == pytest.approx(0, abs=1e-12)
    far = js_divergence(torch.cat([p, none]), torch.cat([none, p]))
    assert far == pytest.approx(LOG2, abs=1e-12)

@given(counts, st.randoms())
def test_merging_cells_never_adds_to_the_divergence(c, random):
    other = random.sample(c, len(c))
    p, q = masses(c), masses(other)
    merged = [torch.cat([o[:2].sum(0, keepdim=True), o[2:]]) for o in (p, q)]
    assert js_divergence(*merged) <= js_divergence(p, q) + 1e-12

@given(seeds, st.integers(1, 2), st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_cell_shares_agree_with_numpy(seed, dim, bins):
    x = (4*torch.randn(200, dim, generator=rng(seed), dtype=torch.float64)).round()/2   # some on the sides of the box
    box = torch.tensor([[-1., 1.5], [-2., 1.]])[:dim]
    want, _ = np.histogramdd(x.numpy(), bins, box.tolist())
    got = cell_shares(x, box, bins)
    assert got.shape == (bins**dim + 1,)
    np.testing.assert_allclose(got[:-1].numpy()*200, want.ravel(), atol=1e-9)
    assert got.sum().item() == pytest.approx(1)

@pytest.mark.parametrize('name', [k for k, build in shapes.items() if build().dim <= 2])
def test_a_perfect_sampler_sits_on_the_floor(name):
    data = shapes[name]()
    floor = jsd_floor(2500, data)
    assert floor < .04
    for seed in (1, 2, 3):
        assert jsd(data.sample(2500, rng(seed)), data) == pytest.approx(floor, abs=floor)

def test_the_floor_falls_as_one_over_n():
    data = ring()
    assert jsd_floor(10_000, data)/jsd_floor(100_000, data) == pytest.approx(10, rel=.3)

def test_the_floor_knows_that_the_truth_is_counted_too():
    data = shapes['two_moons']()
    for n, n_ref in ((20_000, 20_000), (100_000, 1_000_000)):
        got = np.mean([jsd(data.sample(n, torch.Generator().manual_seed(s)), data, n_ref=n_ref) for s in (5, 6, 7)])
        assert got == pytest.approx(jsd_floor(n, data, n_ref=n_ref), rel=.1)   # chance: some 6% of a sum over 500 cells



# coverage

@given(st.integers(1, 10), st.sampled_from([1., 2., 3.]), seeds)
@settings(max_examples=15, deadline=None)
def test_share_of_a_perfect_sampler_in_any_dimension(dim, n_std, seed):
    root = torch.randn(dim, dim, generator=rng(seed), dtype=torch.float64)
    root += 2*torch.eye(dim)   # a tilted mode
    data, n = GaussianMixture(torch.zeros(1, dim), cov=root@root.T + .1*torch.eye(dim)), 20_000
    p = perfect_share(dim, n_std)
    got = coverage(data.sample(n, rng(seed + 1)), data, n_std).high_quality
    assert abs(got - p) < 5*math.sqrt(p*(1 - p)/n) + 1e-4

@given(st.sets(st.integers(0, 24), min_size=1), seeds)
@settings(max_examples=25, deadline=None)
def test_coverage_counts_the_modes_that_were_sampled(found, seed):
    data, which = grid(), torch.tensor(sorted(found)).repeat(40)
    x = data.means[which] + .05*torch.randn(len(which), 2, generator=rng(seed))
    got = coverage(x, data)
    assert (got.modes, got.modes_total) == (len(found), 25)
    assert coverage(x[torch.randperm(len(x), generator=rng(0))], data) == got


# Parzen windows

@given(seeds, st.integers(1, 5), st.floats(.05, 2))
@settings(max_examples=50, deadline=None)
def test_parzen_against_a_plain_mixture(seed, dim, sigma):
    g = rng(seed)
    x, c = (torch.randn(n, dim, generator=g, dtype=torch.float64) for n in (6, 9))
    want = [math.fsum(math.exp(-((a - b)**2).sum().item()/(2*sigma**2)) for b in c) for a in x]
    want = torch.tensor(want, dtype=torch.float64)/9/(sigma*math.sqrt(2*math.pi))**dim
    got = parzen_log_prob(x, c, [sigma])[:, 0]
    seen = want > 1e-290   # what plain exponentials can still tell
    torch.testing.assert_close(got[seen], want[seen].log(), rtol=0, atol=1e-8)
    assert got.isfinite().all()

def test_parzen_density_integrates_to_one():
    c = torch.tensor([[-1.], [.3], [2.]])
    t = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    area = torch.trapezoid(parzen_log_prob(t, c, [.1, 1.]).exp(), t[:, 0], dim=0)
    torch.testing.assert_close(area, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-9)

def test_metrics_of_a_data_set_has_the_real_figure_beside_it():
    g = rng(0)
    x = torch.rand(300, 6, generator=g)*255
    data = Samples(x[:200], scale='unit', shape=(2, 3))
    got = metrics(x[:200], data, valid=x[200:250], test=x[250:])   # its own rows as "fakes"
    parzens = {'parzen', 'parzen_stderr', 'parzen_sigma', 'parzen_real'}
    assert set(got) == {'n', *parzens, *compare(x[:100], x[:100], x[250:])}
    assert got['parzen'] == pytest.approx(got['parzen_real'], abs=1e-9)
    assert got['parzen_sigma'] in SIGMAS

@pytest.mark.parametrize('labelled', [True, False])
def test_the_real_figure_does_not_depend_on_the_order_of_the_items(recwarn, labelled):
    x, y = torch.cat([.5*torch.randn(400, 2, generator=rng(0)), .5*torch.randn(400, 2, generator=rng(1)) + 4]), torch.arange(800)//400
    p = torch.randperm(800, generator=rng(2))
    data = [Samples(x[o], None, labels=y[o] if labelled else None) for o in (torch.arange(800), p)]
    figures = [metrics(x[200:600], o, valid=x[::7] + .1, test=x[::5])['parzen_real'] for o in data]
    assert figures[0] == pytest.approx(figures[1], abs=.3) and not recwarn

def test_parzen_of_clusters_far_apart():
    c = torch.randn(50, 3, generator=rng(0), dtype=torch.float64)
    near = parzen_log_prob(c[:9] + .1, c, [.5, 1.])
    got = parzen_log_prob(c[:9] + .1 + 1e8, torch.cat([c + 1e8, c - 1e8]), [.5, 1.])
    torch.testing.assert_close(got, near - LOG2, rtol=0, atol=1e-5)

def test_of_one_test_item_the_error_is_not_known(): assert math.isnan(parzen(x50, x50[:1], 1.).stderr)


# MNIST: the ceiling of Table 1's yardstick

def idx(path):
    x = np.frombuffer(gzip.open(path).read(), np.uint8, offset=16)
    return torch.from_numpy(x.copy()).view(-1, 784)

def test_real_mnist_digits_as_centres():
    "10,000 real training images score 241.2 ± 2.1 nats, σ = 0.167"
    folder = os.environ.get('MNIST_DIR')
    if not folder: pytest.skip('MNIST_DIR is not set: no Parzen figure of real MNIST digits')
    train, test = (idx(Path(folder)/f'{o}-images-idx3-ubyte.gz') for o in ('train', 't10k'))
    centres, valid = train[:10_000]/255, train[50_000:51_000]/255
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        sigma = parzen_sigma(centres, valid)
    got = parzen(centres, test/255, sigma)
    print(f'{got.mean:.2f} ± {got.stderr:.2f} nats, σ = {got.sigma:.4f}')
    assert got.sigma == pytest.approx(.1668, abs=1e-4)
    assert got.mean == pytest.approx(241.2, abs=.05)
    assert got.stderr == pytest.approx(2.1, abs=.05)
