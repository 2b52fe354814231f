"Images and series in every container: one rule for their scale, and samples in the data's own units"
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset

from gan_nbdev.all import (GAN, Trainer, experiment, get_data, image_grid, mlp_discriminator, mlp_generator, normal, output_for,
                           plot_fakes, plot_interpolation, plot_overview)
from gan_nbdev.support.items import pictures

gray = np.random.default_rng(0).integers(0, 256, (90, 6, 5)).astype('u1')
gray[:, 0, :2] = 0, 255   # so that the first items show the whole range
forms = dict(hw=gray, chw=gray[:, None], hwc=gray[..., None], rgb=np.repeat(gray[..., None], 3, -1), rgb_first=np.repeat(gray[:, None], 3, 1),
             rgba=np.concatenate([np.repeat(gray[..., None], 3, -1), np.full_like(gray, 255)[..., None]], -1))
units = {'bytes': (lambda x: x, (0, 255)), '01': (lambda x: x/255, (0, 1)), '±1': (lambda x: x/127.5 - 1, (-1, 1)),
         '0 to 255': (lambda x: x.astype('f4'), (0, 255)), '16 bits': (lambda x: x.astype('u2')*257, (0, 65_535)),
         'whole': (lambda x: x.astype('i8'), (0, 255))}

class Items(Dataset):
    def __init__(self, x, pair): self.x, self.pair = x, pair
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return (self.x[i], i % 3) if self.pair else self.x[i]

class InOrder(IterableDataset):
    def __init__(self, x): self.x = x
    def __iter__(self): return iter(self.x)

def to_tensor(x): return torch.from_numpy(x)

containers = dict(array=lambda x: x, tensor=to_tensor, dataset=lambda x: Items(x, False), pairs=lambda x: Items(x, True),
                  tensors=lambda x: Items(to_tensor(x), True), in_order=InOrder, loader=lambda x: DataLoader(to_tensor(x), batch_size=90))

@pytest.mark.parametrize('container', containers)
@pytest.mark.parametrize('unit', units)
def test_one_rule_for_the_scale(container, unit):
    for form in forms.values():
        to, span = units[unit]
        data = get_data(containers[container](to(form)))
        assert data.span == span and data.kind == 'image' and output_for(data) == ('tanh' if span[0] else 'sigmoid') and f'white {span[1]:g}' in repr(data)
        x = data.sample(90, torch.Generator().manual_seed(0))
        assert x.min() >= (-1 if span[0] else 0) and x.max() <= 1
        shown = pictures(data.unscale(x), data.shape, data.span)
        assert shown.shape[1:3] == (6, 5) and np.allclose(shown[:, 0, :2].reshape(90, 2, -1)[..., 0], [0, 1], atol=1e-5)

@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', '1', 'P', 'I;16'])
def test_pillow_images(mode):
    made = [Image.fromarray(x) for x in gray]
    made = [Image.fromarray(x.astype('u2')*257) for x in gray] if mode == 'I;16' else [o.convert(mode) for o in made]
    data = get_data(Items(made, True))
    assert data.bounded and data.kind == 'image' and data.sample(9).max() == 1
    assert data.shape[2:] == dict(RGB=(3,), RGBA=(4,), P=(3,)).get(mode, ())

def small(data, classes=None):
    return GAN(mlp_generator(2, data.dim, (8,), seed=0, out=output_for(data)), mlp_discriminator(data.dim, (8,), seed=1), normal(2))

@pytest.mark.parametrize('form', forms)
def test_pictures_of_every_form(form):
    data = get_data(forms[form])
    t = Trainer(small(data), data, batch_size=32, engine='eager').fit(1, progress=False)
    plot_overview(t)
    for ax in (plot_fakes(t.sample(9), data), image_grid(t.sample(9), data), plot_interpolation(t.gan, data), image_grid(t.sample(25), data.shape)):
        shown = np.asarray(ax.images[0].get_array())
        assert .02 < (shown[..., 0] if shown.ndim == 3 else shown).std() and shown.min() >= 0 and shown.max() <= 1
        ax.figure.clear()

@pytest.mark.parametrize('shape', [(64,), (64, 2), (2, 64), (1, 64)])
def test_series_when_asked(shape):
    x = np.cumsum(np.random.default_rng(0).normal(size=(50, *shape)), 1)
    data = get_data(x, kind='series')
    assert data.kind == 'series' and 'series of 64 moments' in repr(data)
    assert np.allclose(data.unscale(data.x).numpy().reshape(x.shape), x, atol=1e-4)
    assert len({*data.scaling.factor.tolist()}) == (2 if 2 in shape else 1)   # one scale for each channel
    lines = plot_fakes(data.unscale(data.x[:5]), data).lines
    assert {len(o.get_xdata()) for o in lines} == {64} and len(lines) == 10*(2 if 2 in shape else 1)
    assert ('series' in repr(get_data(x))) == (len(shape) > 1)   # a hint, where they are taken for images

def test_items_that_nobody_can_draw_are_trained_on():
    data = get_data(np.random.default_rng(0).normal(size=(60, 2, 5, 7)))
    e = experiment(data, steps=2, device='cpu', engine='eager', batch_size=32, **{'generator.hidden': [8], 'discriminator.hidden': [8]})
    t = e.trainer(data).fit(2, progress=False)
    assert data.kind == 'other' and 'no picture' in plot_fakes(t.sample(4), data).texts[0].get_text()

def test_an_item_beyond_the_range_is_named():
    x = [np.full((4, 4), .5, 'f4') for _ in range(99)]
    data = get_data(Items(x, False))
    x[70] = x[70]*500
    source = data.source(9)
    with pytest.raises(ValueError, match=r'the first items go from 0 to 1, but item 70 from 250 to 250: give scale='):
        for _ in range(11): source.next()
    assert get_data(Items(x, False), scale=(0, 250)).span == (0, 250)

def all_of(data, m=20, n=5):
    source = data.source(m, torch.Generator().manual_seed(0))
    return torch.cat([source.next() for _ in range(n)])

lazy = dict(dataset=lambda x: Items(x, False), in_order=InOrder, loader=lambda x: DataLoader(x, batch_size=20))

@pytest.mark.parametrize('container', lazy)
def test_bytes_that_begin_dark(container):
    dark = torch.arange(100, dtype=torch.uint8)[:, None, None].repeat(1, 6, 5)
    dark[:20] = dark[0]
    if container == 'dataset': dark[[round(i*99/15) for i in range(16)]] = 1   # those that are looked at
    with pytest.raises(ValueError, match=r'the first items go from 0 to 1, but .* as \(0, 255\)$'): all_of(get_data(lazy[container](dark)))
    told = get_data(lazy[container](dark), scale=(0, 255))
    assert told.span == (0, 255) and output_for(told) == 'sigmoid' and all_of(told).max() <= 99/255
    mask = get_data(lazy[container]((dark > 50).to(torch.uint8)))
    assert mask.span == (0, 1) and {*all_of(mask).unique().tolist()} == {0, 1}

@pytest.mark.parametrize('container', lazy)
def test_bytes_among_other_numbers(container):
    x = to_tensor(gray)
    first, later = [o/255 for o in x[:20]], [*x[20:]]
    for a, b, said in ((first, later, 'no bytes'), (later, first, 'bytes')):
        items = [*a[:1]*99]   # those that are looked at are of one type
        items[50:52] = b[:2]
        data = get_data(DataLoader(items, batch_size=2) if container == 'loader' else lazy[container](items))
        with pytest.raises(ValueError, match=f'the first items are {said}, but (item 5[01]|a minibatch) is of type'): all_of(data, 2, 49)

@pytest.mark.parametrize('x, scale, span, out', [
    (gray, (127.5, 127.5), (0, 255), 'tanh'), (gray/255, (.5, .5), (0, 1), 'tanh'), (gray, (0, 255), (0, 255), 'sigmoid'),
    (gray/255, (0, 1), (0, 1), 'sigmoid'), (gray/255 + 9, (9, 1), (9, 10), 'sigmoid'), (gray, (33, 78), (0, 255), None), (gray, (0, 16), (0, 255), None)])
def test_a_scale_that_is_given_says_what_is_black_where_it_brings_all_to_a_usual_range(x, scale, span, out):
    for data in (get_data(x, scale=scale), *(get_data(o(to_tensor(x)), scale=scale) for o in lazy.values())):
        assert data.span == pytest.approx(span) and output_for(data) == out
        real = data.unscale(all_of(data, 20, 2))
        assert np.allclose(pictures(real, data.shape, data.span), (real.reshape(-1, *data.shape) - span[0])/(span[1] - span[0]), atol=1e-5)

def test_an_item_beyond_a_scale_that_is_given_is_named():
    x = [np.full((4, 4), v, 'f4') for v in np.linspace(0, 1, 99)]
    data = get_data(Items(x, False), scale=(.5, .5))
    x[70] = x[70] + 5
    with pytest.raises(ValueError, match='the first items go from 0 to 1, but item 70 from 5'): all_of(data, 9, 11)

@pytest.mark.parametrize('mode', ['P', 'CMYK', 'HSV', 'YCbCr', 'LA', 'PA', 'RGBa'])
def test_pillow_images_of_other_modes_keep_their_colours(mode):
    made = [Image.fromarray(np.full((6, 5, 3), o, 'u1')*np.array([1, 0, 1], 'u1')) for o in range(0, 250, 10)]
    if mode in ('RGBa', 'PA'): made = [o.convert('RGBA') for o in made]
    made = [o.convert(mode) for o in made]
    data, want = get_data(Items(made, True)), 'RGBA' if mode in ('LA', 'PA', 'RGBa') else 'RGB'
    assert data.shape == (6, 5, len(want)) and data.kind == 'image'
    x = data.unscale(data.sample(50, torch.Generator().manual_seed(0))).reshape(50, *data.shape).round()
    known = [np.asarray(o.convert(want)).tolist() for o in made]
    assert all(o.tolist() in known for o in x)
