"Figures that need nothing but items: against published libraries, by definition, and for every kind of data"
import contextlib
import copy
import io
import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, SequentialSampler, TensorDataset

from gan_nbdev.cli import gan_eval, gan_train
from gan_nbdev.data import Data, Distribution
from gan_nbdev.datasets.files import digits, get_data
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Loaded, Stream
from gan_nbdev.datasets.tables import table
from gan_nbdev.measures.columns import column_distances, correlation_gap, is_category
from gan_nbdev.measures.features import fid, kid
from gan_nbdev.measures.pairs import marginals_and_pairs
from gan_nbdev.measures.stacked import stacked, stacked_modes
from gan_nbdev.measures.two_samples import (compare, nearest_ratio, neighbours, random_directions, sliced_wasserstein,
                                            rows_compared, two_sample_test, wasserstein)
from gan_nbdev.metrics import coverage, jsd, jsd_floor, metrics, nearest_classes, obeyed

seeds, few = st.integers(0, 2**31 - 1), settings(max_examples=25, deadline=None)
figures = 'sliced_wasserstein', 'precision', 'recall', 'density', 'coverage', 'nearest_ratio', 'two_sample_accuracy'
both = {k + end for k in figures for end in ('', '_real')}
of_some = {k for k in both if not k.startswith('nearest_ratio')}   # where not all training items are at hand

def normal(seed, *shape): return np.random.default_rng(seed).normal(size=shape)
def gen(seed): return torch.Generator().manual_seed(seed)


# against published libraries

@given(seeds, st.integers(1, 40), st.integers(1, 7), st.floats(.2, 3))
@few
def test_neighbours_against_prdc(seed, d, k, width):
    from prdc import compute_prdc
    x, real = width*normal(seed, 60, d) + .3, normal(seed + 1, 50, d)
    with contextlib.redirect_stdout(io.StringIO()): theirs = compute_prdc(real, x, k)
    got = neighbours(x + 1e4, real + 1e4, k)._asdict()   # far from 0, where squares lose their last digits
    assert got == pytest.approx({o: float(theirs[o]) for o in got}, abs=1e-12)

@given(seeds, st.integers(1, 20), st.integers(1, 40), st.integers(1, 40))
@few
def test_sliced_wasserstein_against_pot(seed, d, n, m):
    import ot
    x, real = normal(seed, n, d), 2*normal(seed + 1, m, d) - 1
    want = ot.sliced_wasserstein_distance(x, real, projections=random_directions(d, 30, seed).T, p=1)
    assert sliced_wasserstein(x, real, 30, seed) == pytest.approx(float(want), rel=1e-9)

@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_wasserstein_against_scipy(x, real):
    assert wasserstein(x, real) == pytest.approx(wasserstein_distance(x, real), abs=1e-9)


# by definition

@given(seeds, st.integers(1, 30))
@few
def test_nearest_ratio_by_definition(seed, d):
    x, real, new = normal(seed, 20, d), normal(seed + 1, 30, d), normal(seed + 2, 10, d)
    near, others = cdist(x, real).min(1), cdist(real, real) + np.diag(np.full(30, np.inf))
    assert nearest_ratio(x, real, new) == pytest.approx(np.median(near)/np.median(cdist(new, real).min(1)))
    assert nearest_ratio(x, real) == pytest.approx(np.median(near)/np.median(others.min(1)))

@given(seeds, st.integers(1, 5), st.integers(1, 3))
@few
def test_neighbours_by_definition_where_distances_are_equal(seed, d, k):
    rng = np.random.default_rng(seed)
    x, real = rng.integers(0, 3, (20, d)).astype(float), rng.integers(0, 3, (15, d)).astype(float)
    d2 = lambda a, b: ((a[:, None] - b)**2).sum(2)       # of whole numbers, so exact
    rx, rr = (np.sort(d2(o, o), 1)[:, k] for o in (x, real))
    inside = d2(real, x) <= rr[:, None]
    want = inside.any(0).mean(), (d2(real, x) <= rx).any(1).mean(), inside.sum()/(k*20), inside.any(1).mean()
    assert neighbours(x/7 + 100, real/7 + 100, k) == pytest.approx(want)

def test_the_classifier_finds_what_there_is_to_find_and_nothing_else():
    a, b = normal(0, 800, 5), normal(1, 800, 5)
    assert abs(two_sample_test(a, b) - .5) < 5*.5/math.sqrt(1600)
    assert two_sample_test(a, b + 3) > .99
    linked = b.copy(); linked[:, 1] = b[:, 0]            # each column is right
    assert two_sample_test(a, linked) > .65
    assert two_sample_test(a, b[:100] + 3) > .95          # and of unequal sizes ½ is still the coin's
    assert abs(two_sample_test(a, b[:100]) - .5) < 5*.5/math.sqrt(200)

def test_a_few_real_items_far_out_hide_nothing():
    x, real = normal(0, 1000, 2) + 1, normal(1, 1000, 2)
    def told(): return two_sample_test(x, real), neighbours(x, real).recall, neighbours(x, real).coverage
    before = told()
    real[:3] = 1e10
    assert told() == pytest.approx(before, abs=.03) and before[0] > .7

def test_columns_that_never_vary_have_no_deviation_whatever_rounding_makes_of_it():
    still = pd.DataFrame(dict(a=np.full(60, .1), b=np.arange(60.)))
    with pytest.raises(ValueError, match="column 'a' goes from 0.1 to 0.1"): table(still, kinds=dict(a='number'))
    rare = pd.DataFrame(dict(a=np.where(np.arange(20_000) % 10_000 == 7, 5., .1), b=normal(0, 20_000)))   # hardly ever among those that are compared
    got = metrics(rare.sample(1000, random_state=0), table(rare))
    assert max(v for k, v in got.items() if k.startswith('distance_')) < 1 and got['correlation_gap'] < .5

def test_compare_gives_floats_for_samples_and_for_real_items():
    x, real, second = normal(0, 150, 3)*2, normal(1, 90, 3), normal(2, 120, 3)
    got = compare(x, real, second)
    assert set(got) == both and all(type(o) is float and math.isfinite(o) for o in got.values())
    assert got == compare(x, real, second) and got != compare(x, real, second, seed=1)
    swapped = compare(second, real, x[:120])
    assert {k: got[k] for k in figures} != {k: got[f'{k}_real'] for k in figures}
    assert swapped['precision'] == got['precision_real']
    assert got['sliced_wasserstein'] > 3*got['sliced_wasserstein_real'] and got['recall'] > got['precision'] + .2


@pytest.mark.filterwarnings('ignore::RuntimeWarning')   # of trees that are given 1e40
@pytest.mark.parametrize('kind', ['uint8', 'float32', 'float64'])
def test_copies_are_seen_in_training_items_of_any_type(kind):
    u = np.where(normal(0, 600, 64) > 0, 255, 0)
    copies = u[:200] + normal(1, 200, 64)
    got = compare(copies, u[:300], u[300:], training=u.astype(kind))
    assert compare(1e40*copies, u[:300], u[300:], training=u.astype(kind))['nearest_ratio'] > 1e30   # beyond float32
    assert got['nearest_ratio'] < .03 and got == compare(copies, u[:300], u[300:], training=u.astype(float))

def test_what_is_nearest_is_found_far_from_0():
    x = normal(0, 900, 30)
    copies = x[:300] + .01*normal(1, 300, 30)
    for a, b in ((copies, x), (copies + 1e8, x + 1e8)):
        assert nearest_ratio(a, b) == pytest.approx(compare(a, b[:400], b[400:], training=b)['nearest_ratio'], rel=1e-6)
        assert nearest_ratio(a, b) == pytest.approx(nearest_ratio(copies, x), rel=1e-5)
    assert nearest_ratio(copies, np.concatenate([[[1e14]*30], x])) < .1      # nor does one stray harm
    y = np.arange(200)%2
    data = Samples(1e4*np.c_[1 + y, 0*y] + .05*normal(2, 200, 2), scale=None, labels=y)
    assert obeyed(data.x, y, data, k=1) == 1
    assert torch.equal(nearest_classes(data.x, data, k=3), data.labels)

@pytest.mark.filterwarnings('error')
def test_classes_may_be_the_codes_of_pandas():
    codes = pd.Series([*'ab']*150, dtype='category').cat.codes
    fixed = codes.to_numpy().copy(); fixed.flags.writeable = False
    assert obeyed(x300, codes, labelled) == obeyed(x300, fixed, labelled) == obeyed(x300, fixed[::-1][::-1], labelled) > .5


# columns

people = pd.DataFrame(dict(age=np.random.default_rng(0).integers(18, 80, 400), height=normal(1, 400)*9 + 170,
                           town=np.random.default_rng(2).choice(['Ulm', 'Bern', 'Paris'], 400),
                           member=np.random.default_rng(3).random(400) < .3,
                           since=pd.Timestamp('2020-01-01') + pd.to_timedelta(np.random.default_rng(4).integers(0, 900, 400), unit='D')))

def test_columns_by_definition():
    x, real = people[:150].assign(age=people.age[:150] + 5), people[150:]
    got = column_distances(x, real)
    for k in ('age', 'height'):
        assert got[k] == pytest.approx(wasserstein_distance(x[k], real[k])/real[k].std(ddof=0))
    days = [(o.since - pd.Timestamp('2020-01-01')).dt.days for o in (x, real)]
    assert got['since'] == pytest.approx(wasserstein_distance(*days)/days[1].std(ddof=0))
    for k in ('town', 'member'):
        shares = [o[k].value_counts(normalize=True) for o in (x, real)]
        assert got[k] == pytest.approx((shares[0] - shares[1]).abs().sum()/2)
    numbers = [o.assign(since=d)[['age', 'height', 'since']].corr().to_numpy() for o, d in zip((x, real), days)]
    assert correlation_gap(x, real) == pytest.approx(np.abs(numbers[0] - numbers[1]).max())
    assert correlation_gap(x.assign(age=5), real) == pytest.approx(
        max(np.abs(numbers[1][0, 1:]).max(), abs(numbers[0][1, 2] - numbers[1][1, 2])))

steps = np.random.default_rng(0).integers(0, 24, 120)
of_types = dict(duration=pd.to_timedelta(steps, unit='h'), period=pd.Period('2024-01', 'M') + steps, decimal=[Decimal(int(o))/8 for o in steps],
                zone=pd.Timestamp('2024-01-01', tz='Asia/Tokyo') + pd.to_timedelta(steps, unit='D'),
                bins=pd.cut(steps, 3), mixed=pd.Series([1, 'a', 'b']*40, dtype=object))

@pytest.mark.parametrize('kind', of_types)
def test_columns_are_what_the_table_learns(kind):
    t = pd.DataFrame(dict(v=of_types[kind], w=steps%7/8))
    data, category = table(t), kind in ('bins', 'mixed')
    assert is_category(t.v) == category == (data.columns[0].kind == 'category')
    own = data.items(data.x)
    assert max(column_distances(own, t).values()) < 1e-5
    assert column_distances(t[:60], t[60:]) == pytest.approx(column_distances(own[:60], own[60:]), rel=1e-5) and correlation_gap(own, t) < 1e-5
    bars, dots = marginals_and_pairs(own, t).axes[:2]
    assert np.ptp(dots.collections[0].get_offsets()[:, 1]) > 0 and 'other' not in [o.get_text() for o in bars.get_xticklabels()]

@given(seeds, st.integers(1, 6), st.integers(2, 30))
@settings(max_examples=8, deadline=None)
def test_a_picture_of_any_table(seed, most, n):
    rng = np.random.default_rng(seed)
    kinds = [lambda: rng.normal(size=n), lambda: rng.integers(0, 3, n), lambda: rng.random(n) < .5,
             lambda: [f'a very long name, no. {i}' for i in rng.integers(0, 20, n)], lambda: pd.Categorical(rng.integers(0, 3, n)),
             lambda: pd.to_datetime(rng.integers(0, 10**9, n), unit='s'), lambda: [None, *rng.normal(size=n - 1)], lambda: [7]*n]
    which = rng.integers(0, len(kinds), 5)
    fake, real = (pd.DataFrame({f'column {i}': kinds[k]() for i, k in enumerate(which)}) for _ in range(2))
    fig = marginals_and_pairs(fake, real, most=most)
    assert len(fig.axes) == min(most, 5)**2
    fig.savefig(io.BytesIO(), format='png', dpi=20)


# every kind of data

class Rows(Dataset):
    def __init__(self, x): self.x, self.read = x, []
    def __len__(self): return len(self.x)
    def __getitem__(self, i): self.read.append(int(i)); return self.x[i]

class Flow(IterableDataset):
    def __init__(self, x): self.x = x
    def __iter__(self): return iter(self.x)

class Own(Data):
    name, dim, shape = 'own', 4, (4,)
    def _draw(self, n, generator): return torch.randn(n, 4, generator=generator)

class Known(Distribution):
    name, dim, extent = 'known', 3, torch.tensor([[-4., 4.]]*3)
    def _draw(self, n, generator): return torch.randn(n, 3, generator=generator)

x300 = torch.from_numpy(normal(0, 300, 4)).float()
kinds = dict(rows=lambda: Samples(x300*5 + 3), images=lambda: Samples(x300.sigmoid().view(-1, 2, 2)),
             stream=lambda: Stream(Rows(x300)), flow=lambda: Stream(Flow(x300)), own=lambda: Own(),
             pairs=lambda: Stream(TensorDataset(x300, torch.zeros(300))), known=lambda: Known(),
             loader=lambda: Loaded(DataLoader(TensorDataset(x300), batch_size=30)),
             labelled=lambda: Samples(x300, labels=[0, 1]*150))

@pytest.mark.parametrize('kind', kinds)
def test_any_data_gets_figures(kind):
    data = kinds[kind]()
    x = data.unscale(torch.randn(200, data.dim, generator=gen(1)))
    got = metrics(x, data)
    assert set(got) == {'n', *(both if hasattr(data, 'x') else of_some)} and got['n'] == 200
    assert all(math.isfinite(o) for o in got.values())
    assert got == metrics(x.numpy(), data)
    if kind == 'images': return                          # where normal samples are no such images
    assert got['precision'] > .7 and abs(got['two_sample_accuracy'] - .5) < .15
    assert metrics(x + 30, data)['two_sample_accuracy'] > .95

def test_the_units_of_a_column_change_nothing():
    x, y = torch.from_numpy(normal(0, 400, 2)), torch.from_numpy(normal(1, 200, 2))
    units = torch.tensor([1e6, 1e-3]).double()
    a, b = metrics(y, Samples(x)), metrics(y*units, Samples(x*units))
    assert a == pytest.approx(b, abs=.02)

def test_items_of_a_stream_are_not_compared_with_themselves():
    "Drawn with replacement, a real item would meet itself in the other heap"
    rows = Rows(x300)
    metrics(torch.randn(300, 4, generator=gen(0)), Stream(rows))
    assert sorted(rows.read[-300:]) == list(range(300))

in_order = dict(loader=lambda o: DataLoader(TensorDataset(o), batch_size=50), flow=Flow, loaded_flow=lambda o: DataLoader(Flow(o), batch_size=50),
                sampler=lambda o: DataLoader(TensorDataset(o), batch_size=50, sampler=range(len(o))),
                workers=lambda o: DataLoader(TensorDataset(o), batch_size=50, num_workers=1, persistent_workers=True))

def test_a_loader_that_leaves_items_out_is_measured_by_those_it_gives():
    class Few(BatchSampler):
        def __iter__(self): return iter([[*range(i, i + 50)] for i in range(0, 300, 50)])
        def __len__(self): return 6
    x = torch.from_numpy(np.concatenate([normal(0, 300, 2), normal(1, 2000, 2) + 9])).float()
    got = metrics(x[:200], get_data(DataLoader(TensorDataset(x), batch_sampler=Few(SequentialSampler(x), 50, False))))
    assert got['precision'] > .9 and got['recall'] > .9

@pytest.mark.parametrize('n', [600, 6000])
@pytest.mark.parametrize('made', in_order)
def test_both_heaps_are_drawn_from_all_items_of_a_stream_in_order(made, n):
    x = torch.from_numpy(np.concatenate([normal(0, n//2, 2), normal(1, n//2, 2) + 9])).float()
    got = metrics(x[torch.randperm(n, generator=gen(2))[:400]], get_data(in_order[made](x)))
    assert all(got[k] > .9 for k in ('precision', 'precision_real', 'recall', 'recall_real'))
    assert max(got['two_sample_accuracy'], got['two_sample_accuracy_real']) < .65

def test_of_fewer_real_items_than_samples_all_are_taken_and_it_is_said():
    valid, test = torch.from_numpy(normal(5, 200, 4)).float().split(100)
    of = lambda n, made=lambda x: Stream(Flow(x)): metrics(x300, made(x300[:n]), valid=valid, test=test)
    whole = of(300)
    assert whole['parzen'] == pytest.approx(whole['parzen_real'])   # the same items, all of them
    with pytest.warns(UserWarning, match='parzen_real is of all 60 real items, fewer than the 300 samples'):
        few = [of(60, o) for o in (lambda x: Stream(Flow(x)), lambda x: Samples(x, None), lambda x: Stream(Rows(x), scale=None))]
    assert [o['parzen_real'] for o in few] == pytest.approx([few[0]['parzen_real']]*3)   # none of them twice
    assert {o['parzen'] for o in few} == {whole['parzen']} and few[0]['parzen_real'] < whole['parzen'] - .05

@pytest.mark.parametrize('figure', [sliced_wasserstein, neighbours, nearest_ratio, two_sample_test, lambda x, real: compare(x, real, real),
                                    lambda x, real: kid(x, real, torch.nn.Flatten()), lambda x, real: fid(x, real, torch.nn.Flatten())])
def test_channels_first_beside_channels_last_is_refused(figure):
    x = normal(0, 60, 3, 2, 4)
    with pytest.raises(ValueError, match=r'items of shape \(3, 2, 4\), \w+ of shape \(2, 4, 3\)'): figure(x, np.moveaxis(x, 1, -1))

def test_copies_of_training_items_are_seen_among_many():
    "More training items than are compared: a copy of any of them is a copy"
    x = torch.from_numpy(normal(0, 6000, 3)).float()
    data = Samples(x)
    copies, new = metrics(x[-500:], data), metrics(torch.from_numpy(normal(1, 500, 3)), data)
    assert copies['nearest_ratio'] < 1e-3 and new['nearest_ratio'] > .8
    assert .8 < copies['nearest_ratio_real'] < 1.25

@pytest.mark.parametrize('made', [Rows, lambda x: DataLoader(TensorDataset(x), batch_size=50), Flow])
def test_copies_of_items_that_are_not_all_at_hand_are_not_called_new(made):
    "Only some of the items are read, and a copy of another looks new"
    x = torch.from_numpy(normal(0, 6000, 3)).float()
    assert set(metrics(x[-500:], get_data(made(x)))) == {'n', *of_some}

def test_test_items_take_the_place_of_the_second_heap():
    data, off = Samples(x300), torch.from_numpy(normal(3, 100, 4)) + 5
    got = metrics(x300[:100], data, valid=off[:50], test=off[50:])
    assert {'parzen', 'parzen_real'} <= set(got) and got['two_sample_accuracy_real'] > .95

def test_too_few_items_or_samples():
    assert metrics(x300, Samples(x300[:19])) == dict(n=300)
    assert metrics(x300[:9], Samples(x300)) == dict(n=9)
    assert of_some < set(metrics(x300, Stream(Flow(x300[:25]))))
    assert both < set(metrics(x300[:10], Samples(x300[:20])))

def test_samples_that_are_not_finite_are_refused_as_ever():
    for data in (Samples(x300), table(people)):
        x = data.x[:50].clone(); x[7, 0] = math.nan
        with pytest.raises(ValueError, match='samples must be finite, but row 7 is not'): metrics(data.unscale(x), data)

def test_an_item_that_cannot_be_read_costs_no_run():
    class Broken(Rows):
        def __getitem__(self, i):
            if self.armed and i == 3: raise OSError('item 3 is damaged')
            return super().__getitem__(i)
    rows = Broken(x300); rows.armed = False
    data = Stream(rows); rows.armed = True
    with pytest.warns(UserWarning, match='no figures beside real items: item 3 is damaged'):
        assert metrics(x300, data) == dict(n=300)

def test_data_without_modes_or_density_says_what_applies():
    data = table(people)
    for f, words in ((coverage, 'needs a mixture of Gaussians'), (jsd, 'needs a known density')):
        with pytest.raises(ValueError, match=words) as e: f(people, data)
        assert 'use metrics(x, data)' in str(e.value) and '\n' not in str(e.value)
    with pytest.raises(ValueError, match='needs a known density'): jsd_floor(10, data)


# tables

def test_a_table_gets_figures_of_its_columns():
    data = table(people.assign(country='DE'))
    shuffled = pd.DataFrame({k: people[k].sample(frac=1, random_state=0).to_numpy() for k in people}).assign(
        country='DE', age=people.age + 30)
    got = metrics(shuffled, data)
    columns = {f'distance_{k}{end}' for k in people for end in ('', '_real')}
    assert set(got) == {'n', *both, *columns, 'correlation_gap', 'correlation_gap_real'}
    assert got['distance_age'] > 1 and got['distance_age_real'] < .3 and got['distance_town'] < .2
    assert all(type(v) is float and math.isfinite(v) for k, v in got.items() if k != 'n')

def test_a_column_called_as_what_is_real_of_another_has_figures_of_its_own():
    t = pd.DataFrame(dict(price=normal(0, 300), price_real=normal(1, 300)))
    got = metrics(t.assign(price_real=t.price_real + 10), table(t))
    plain = metrics(t.rename(columns={'price_real': 'other'}), table(t.rename(columns={'price_real': 'other'})))
    assert got["distance_'price_real'"] > 9 > got["distance_'price_real'_real"] == plain['distance_other_real']
    assert got['distance_price_real'] == plain['distance_price_real'] > 0

def test_a_table_of_categories_alone():
    t = pd.DataFrame(dict(a=[*'xyz']*40, b=[True, False]*60))
    got = metrics(t, table(t))
    assert got['distance_a'] < .1 and not {'correlation_gap', 'nearest_ratio'} & set(got)
    assert got['precision'] == got['precision_real'] == 1

def test_whole_numbers_that_are_categories_are_compared_as_such():
    t = pd.DataFrame(dict(kind=[1, 2, 9]*50, v=normal(0, 150)))
    data = table(t, kinds=dict(kind='category'))
    got = metrics(t.assign(kind=[9]*150), data)
    assert got['distance_kind'] == pytest.approx(2/3, abs=.1)

def test_frames_and_numbers_give_the_same_figures():
    numbers = people[['age', 'height']]
    data = table(numbers)
    as_frame = metrics(numbers[:100], data)
    as_rows = metrics(torch.from_numpy(numbers[:100].to_numpy(float)), data)
    assert as_frame == pytest.approx(as_rows)
    assert metrics(numbers[:100], Samples(numbers.to_numpy()))['n'] == 100   # frames of numbers suit other data, too

def test_obeyed_takes_a_frame():
    t = pd.DataFrame(dict(kind=[*'ab']*60, v=np.arange(120)%2*10 + .1*normal(0, 120)))
    data = table(t, label='kind')
    assert obeyed(t, [0, 1]*60, data) == 1 and obeyed(t, 0, data) == .5

def test_gan_eval_prints_samples_and_real_items_side_by_side(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save('mine.npy', normal(0, 200, 3))
    gan_train('mine.npy', steps=2, out='run', quiet=True)
    assert 'precision' in capsys.readouterr().out
    gan_eval('run')
    lines = dict(o.split(maxsplit=1) for o in capsys.readouterr().out.strip().split('\n'))
    gan_eval('run', json=True)
    flat = json.loads(capsys.readouterr().out)
    assert both < set(flat) and json.loads((tmp_path/'run/metrics.json').read_text())['precision_real'] == flat['precision_real']
    assert lines['precision'] == f"{flat['precision']:.4f}   (real {flat['precision_real']:.4f})"
    assert not [o for o in lines if o.endswith('_real')]


# what cannot be told is refused, and what can be told is right

rows30, columns, labelled = normal(0, 30, 3), pd.DataFrame(dict(a=[1., 2, 3, 5], b=[2., 1, 4, 3])), kinds['labelled']()
with_inf, complex_, too_large = columns.assign(a=[1, 2, 3, math.inf]), columns.assign(a=[1j, 2, 3, 4]), columns*1e200
same = torch.nn.Identity()

refused = {
    **{f'class {y!r}': (lambda y=y: obeyed(x300, y, labelled), 'y must be whole numbers from 0 to 1, not')
       for y in (2, -1, .5, 'a', ['a']*300, True, None, [0]*299 + [7])},
    'classes of other rows': (lambda: obeyed(x300, [0, 1], labelled), 'y must be 300 classes, not shape'),
    'classes that are not in memory': (
        lambda: obeyed(x300, 0, Stream(TensorDataset(x300, torch.zeros(300)), classes=2)), 'stream has no labels in memory'),
    'classes of a tensor': (lambda: obeyed(x300, 0, x300), 'Tensor has no labels'),
    **{f'{f.__name__}, k={k}': (lambda f=f, a=a, k=k: f(*a, k=k), why) for f, a in (
        (obeyed, (x300, 0, labelled)), (nearest_classes, (x300, labelled)),
        (stacked_modes, (np.zeros((4, 8, 8, 3)), digits()))) for k, why in (
        (0, 'k must be a whole number of at least 1, not 0'), (1.5, 'k must be a whole .* not 1.5'), (9999, 'k must be at most .* not 9999'))},
    **{f'{f.__name__} of {what}': (lambda f=f, a=a: f(*a), why) for f in (column_distances, correlation_gap)
       for what, a, why in (('inf', (with_inf, columns), "column 'a' must be finite"), ('real inf', (columns, with_inf), "column 'a' must be finite"),
                            ('complex numbers', (complex_, columns), "column 'a' must hold real numbers, not complex128"),
                            ('real complex numbers', (columns, complex_), "column 'a' must hold real numbers, not complex128"),
                            ('squares that overflow', (columns, too_large), "column 'a' must be .* at most 1e150"))},
    **{f'{f.__name__} of {v:g}': (lambda f=f, v=v: f(rows30*v, rows30*v), 'x must be from 1e-150 to 1e150 in size')
       for f in (neighbours, nearest_ratio, sliced_wasserstein, two_sample_test) for v in (1e200,)},
    'compare with such': (lambda: compare(rows30, rows30, rows30, training=rows30*1e200), 'training must be from 1e-150 to 1e150'),
    'training items that are nan': (lambda: compare(rows30, rows30, rows30, training=rows30*math.nan), 'training must be finite, not nan'),
    **{f'{f.__name__}, seed={seed}': (lambda f=f, a=a, seed=seed: f(*a, seed=seed), 'seed must be')
       for f, a in ((two_sample_test, [rows30]*2), (sliced_wasserstein, [rows30]*2), (compare, [rows30]*3), (random_directions, (3, 5)),
                    (kid, (rows30, rows30, same))) for seed in (-1, 1.5, '1', 2**70)},
    'directions of nothing': (lambda: random_directions(0, 3), 'd must be a whole number of at least 1, not 0'),
    'rows of nothing': (lambda: rows_compared(0), 'd must be a whole number of at least 1, not 0'),
    **{f'{f.__name__} of other widths': (lambda f=f: f(rows30, rows30[:, :2], same), 'features must be as many for real as for x, 3, not 2') for f in (fid, kid)},
    **{f'{f.__name__} of no features': (lambda f=f: f(rows30, rows30, lambda x: x[:, :0]), 'features must give at least one number for each of x') for f in (fid, kid)},
    **{f'{f.__name__} of features that overflow': (lambda f=f: f(rows30*1e200, rows30, same), 'features of x must be at most 1e50') for f in (fid, kid)},
}

@pytest.mark.parametrize('what', refused)
@pytest.mark.filterwarnings('error')
def test_measures_refuse_in_one_line(what):
    do, line = refused[what]
    with pytest.raises(ValueError, match=line) as e: do()
    assert len(str(e.value).splitlines()) == 1

def test_float64_is_kept_where_the_features_take_it():
    "Seven digits of float32 tell nothing of what is near 10⁷"
    a, b, to_one = normal(0, 300, 3), normal(1, 200, 3) + 1, torch.nn.Linear(3, 1)
    want = fid(a, b, same)
    for features in (same, lambda x: x): assert fid(a + 1e7, b + 1e7, features) == pytest.approx(want, rel=1e-6)
    in_64 = copy.deepcopy(to_one).double()
    assert fid(a + 1e7, b + 1e7, in_64) == pytest.approx(fid(a, b, in_64), rel=1e-5)
    for features in (to_one, lambda x: to_one(x)): assert fid(a, b, features) == pytest.approx(fid(a, b, in_64), rel=1e-3)   # in float32

def test_seeds_and_sizes_that_trees_do_not_take():
    assert 0 <= two_sample_test(rows30, rows30 + 1, seed=2**40) <= 1
    assert two_sample_test(rows30*1e100, (rows30 + 9)*1e100) > .9

def test_numbers_whose_squares_vanish_are_refused():
    frame = pd.DataFrame(dict(a=[1., 2, 3, 4], b=[2., 1, 4, 3]))
    for f in (correlation_gap, column_distances):
        with pytest.raises(ValueError, match="column 'a' has numbers of 4e-200 at most, whose squares vanish"): f(frame*1e-200, frame)
    with pytest.raises(ValueError, match='real must be from 1e-150 to 1e150 in size, or distances vanish'): neighbours(rows30, rows30*1e-200)

@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('f', [two_sample_test, nearest_ratio, lambda *o: neighbours(*o)._asdict()], ids=['test', 'ratio', 'neighbours'])
@pytest.mark.parametrize('scale, shift', [(1, 1e9), (1e40, 0), (1e-40, 0)])
def test_units_and_origin_change_nothing(f, scale, shift):
    x, real = normal(0, 300, 20), normal(1, 350, 20) + .3
    assert f(x*scale + shift, real*scale + shift) == pytest.approx(f(x, real), rel=1e-5)
