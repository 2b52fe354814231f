"The explorer without a browser: data of one's own, from trainers and from run folders."
import contextlib, io, json, os, warnings

import numpy as np
import pandas as pd, pytest, torch

import forms
from gan_nbdev.all import *
from gan_nbdev.cli import gan_train
from gan_nbdev.lab import Explorer
from gan_nbdev.lab.rewinding import Rewindable
from gan_nbdev.lab.view import View, find_gan

small = {'generator.hidden': [8], 'discriminator.hidden': [8], 'batch_size': 32}

def explored(data, **how):
    t = experiment(data, 'lab', **small, device='cpu', engine='eager').trainer()
    return Explorer(t.fit(10, progress=False), **how), t

def bytes_in(window, name):
    "An array of a message, as bytes"
    return window['buffers'][[o[0] for o in window['parts']].index(name)]

def whole(e):
    "It shows a place, its surroundings and a picture, and every command leaves it well"
    for do, how in (('new', {}), ('walk', dict(t=.5)), ('pad', dict(at=[.3, .1])), ('set', dict(i=0, value=.5)), ('around', {})):
        e._heard(None, dict(do=do, **how), [])
        assert e.widget.now['error'] == ''
    assert {o[0] for o in e.widget.around['parts']} >= {'map', 'walk'} and e.picture()
    json.dumps([{k: v for k, v in o.items() if k != 'buffers'} for o in (e.widget.now, e.widget.fixed, e.widget.around)], allow_nan=False)

def executed(e, **given):
    "The cell that is shown finds the same place and item"
    names = dict(given)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        exec(e.code(), names)
    return torch.equal(names['z'], e.z) and (names['x'].equals(e.x) if hasattr(e.x, 'columns') else torch.equal(names['x'], e.x))

@pytest.mark.parametrize('form', forms.images)
def test_images(form):
    "The nearest real image is one of those that were given, to the byte; the shown cell draws G(z) in the same units"
    e, t = explored(Samples(forms.images[form]))
    assert bytes_in(e.widget.now, 'near') in forms.seen[form]
    shape = e.widget.fixed['shape']
    assert shape[:2] == ([6, 8] if form == 'oblong' else [8, 8]) and shape[2:] in ([], [3])
    assert len(bytes_in(e.widget.now, 'fake')) == np.prod(shape)
    whole(e)
    assert executed(e, trainer=t)

def test_the_nearest_real_item_far_from_0():
    x = 1e4 + torch.arange(60.)[:, None].repeat(1, 2)
    t = experiment(Samples(x, scale=None), 'lab', **small, device='cpu', engine='eager').trainer()
    view = View(find_gan(t))
    for i in (0, 1, 2, 40):
        view.generate = lambda z: x[i:i + 1]
        assert torch.equal(view.look(None)[2], x[i:i + 1])

def test_large_images_are_small_where_there_are_many():
    e, _ = explored(Samples(np.kron(forms.gray[:50], np.ones((1, 20, 20)))))
    assert (e.widget.fixed['shape'], e.widget.fixed['small']) == ([160, 160], [53, 53])
    assert len(bytes_in(e.widget.around, 'map')) == 81*53*53 and len(bytes_in(e.widget.now, 'fake')) == 160*160

@pytest.mark.parametrize('form', forms.series)
def test_series(form):
    e, t = explored(Samples(forms.series[form], kind='series'))
    dtype = next(o[1] for o in e.widget.now['parts'] if o[0] == 'near')
    near = np.frombuffer(bytes_in(e.widget.now, 'near'), dtype)
    assert e.widget.fixed['shape'][0] == 64 and 16.9 < abs(near).min() < abs(near).max() < 23.1
    whole(e)
    assert executed(e, trainer=t)

@pytest.mark.parametrize('name', forms.tables)
def test_tables_by_their_columns(name):
    frame = forms.tables[name]
    e, t = explored(frame)
    words, near = e.widget.now['words'], dict(e.widget.now['near_words'])
    assert [k for k, _ in words] == [*frame.columns] and {*e.widget.fixed['names']} <= {*frame.columns}
    told = [str(o) if not isinstance(o, float) else f'{o:.6g}' for o in e.x.iloc[0].tolist()]
    assert [v for _, v in words] == [o.removesuffix(' 00:00:00') for o in told]
    at = e.widget.fixed['names'][0]
    assert (abs(frame[at] - float(near[at])) < .01).any()          # a row of the table, in its own units
    whole(e)
    assert executed(e, trainer=t) and [*e.x.columns] == [*frame.columns]

def test_a_class_at_a_time():
    "Of a GAN that is told classes, one is looked at, by its name"
    data = get_data(forms.people(), label='colour')
    for y, colour in ((None, 'blue'), (2, 'red')):
        e, t = explored(data, y=y)
        assert t.gan.classes == 3 and dict(e.widget.now['words'])['colour'] == colour
        assert f'({colour}), fakes of all 3 classes' in e.widget.fixed['about'] and 0 < e.widget.now['p'] < 1
        whole(e)
        assert executed(e, trainer=t) and e.x.colour[0] == colour
    with pytest.raises(ValueError, match='y must be whole numbers from 0 to 2, not 3'): explored(data, y=3)
    with pytest.raises(ValueError, match='has no classes'): explored(forms.people(), y=1)

@pytest.mark.parametrize('data, why', [(forms.blocks, 'items of shape 2×5×7 have no picture'),
                                       (forms.only_categories, 'no column holds numbers')], ids=['blocks', 'categories'])
def test_what_cannot_be_drawn_is_refused(data, why):
    with pytest.raises(ValueError, match=why) as e: explored(data)
    assert '\n' not in str(e.value)

runs = {'people.csv': {}, 'told': dict(label='colour'), 'chw.npy': {}, 'signed.npy': {}, 'waves.npy': dict(kind='series'), 'line.npy': {}}

@pytest.mark.parametrize('game', ['hinge', 'non-saturating'])
def test_d_of_a_critic_is_no_probability(tmp_path, game):
    "Of a trainer, and of its folder"
    run = Rewindable(experiment('ring', 'lab', game=game)).fit(3)
    for e in (Explorer(run), Explorer(run.trainer), Explorer(run.save(tmp_path/'run'))):
        sure, fixed = game == 'non-saturating', e.widget.fixed
        assert ((e.widget.now['p'] is not None), fixed['judged'], 'no probability' in fixed['about']) == (sure, sure, not sure)
        assert e.widget.now['error'] == '' and ('heat' in str(fixed['parts'])) == sure
        whole(e)

def test_words_and_slider_follow_the_ends_of_the_walk():
    e, _ = explored('ring')
    def do(what, **how): e._heard(None, dict(do=what, **how), []); return e.widget.now['t'], e.widget.now['said']
    assert do('walk', t=.5) == (.5, 'on the walk, 50% of the way from A to B')
    assert do('anchor', end='a') == (0, 'now A of the walk') and do('anchor', end='b') == (1, 'now B of the walk')
    do('new', seed=7); assert do('anchor', end='a') == (0, 'drawn with seed 7, now A of the walk')

def line(weight=1., bias=0.):
    gan = GAN(mlp_generator(1, 1, (8,), seed=0), mlp_discriminator(1, (8,), seed=0), normal(1))
    gan.generator[-1].weight.data.mul_(weight); gan.generator[-1].bias.data.add_(bias)
    return gan

@pytest.mark.parametrize('how', [{}, dict(weight=60.), dict(bias=1e4)])
def test_on_a_line_what_lies_outside_counts(how):
    "And where no fake is in sight, data are"
    v = View(find_gan(line(**how), mixture_1d()))
    arrays, ((low, high),) = v.ground(), v.box
    for k, x in (('fakes', v.some()), ('real', v.real)):
        inside = ((x >= low) & (x <= high)).float().mean().item()
        assert arrays[k].sum()*(high - low)/60 == pytest.approx(inside, abs=.01)
    assert arrays['real'].max() > .1

def test_what_is_said_of_a_generator_that_has_diverged():
    "First of this place, without data too; a few NaN hide no others"
    for n in (1, 2):
        gan = GAN(mlp_generator(n, n, (8,), seed=0), mlp_discriminator(n, (8,), seed=0), normal(n))
        gan.generator[-1].weight.data.fill_(torch.nan)
        e = Explorer(gan)
        for do in ('', 'new', 'around'):
            if do: e._heard(None, dict(do=do), [])
            assert e.widget.now['error'] == 'G(z) is NaN or infinite: this generator has diverged'
        e._heard(None, dict(do='new', seed=-1), []); e._heard(None, dict(do='around'), [])
        assert 'seed must be' in e.widget.now['error']
    class Some(torch.nn.Module):
        def forward(self, z): return torch.where(z > 2, torch.nan, 3*z)
    e = Explorer(GAN(Some(), mlp_discriminator(1, (8,), seed=0), normal(1)))
    assert e.widget.now['error'] == '' and np.isfinite(e.view.box).all()
    shade = e.view.around(e.latent)['map'].reshape(40, 40)[0]
    assert np.isfinite(shade[:30]).all() and (shade[-3:] > 255).all()   # blank
    whole(e)

def test_the_pad_leads_away_from_0():
    "Where there is no circle to move on"
    for noise in (normal(3), normal(7)):
        e = Explorer(GAN(mlp_generator(noise.dim, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=0), noise))
        for i in range(noise.dim): e._heard(None, dict(do='set', i=i, value=0), [])
        e._heard(None, dict(do='pad', at=[.3, .4]), [])
        assert e.z.norm().item() == pytest.approx(.5*noise.dim**.5, rel=1e-4) and executed(e, gan=e.gan)

def test_what_was_refused_stays_until_something_else_is_asked_for():
    "The window asks for the surroundings by itself"
    e, _ = explored('ring')
    e._heard(None, dict(do='new', seed=-3), [])
    e._heard(None, dict(do='around'), [])
    assert 'not -3' in e.widget.now['error']
    e._heard(None, dict(do='new', seed=3), [])
    assert e.widget.now['error'] == ''

@pytest.mark.parametrize('name', runs)
def test_run_folders(tmp_path, name):
    "As `gan-train` writes them, with their data and without"
    file = tmp_path/('people.csv' if name == 'told' else name)
    forms.people().to_csv(tmp_path/'people.csv', index=False)
    arrays = dict(chw=forms.images['(n, 3, 8, 8)'], signed=forms.images['[-1, 1]'], waves=forms.series['(n, 64, 2)'],
                  line=forms.waves[:, :1])
    for k, v in arrays.items(): np.save(tmp_path/f'{k}.npy', v)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')          # fewer rows than a minibatch
        gan_train(str(file), out=str(tmp_path/'run'), steps=20, device='cpu', engine='eager', quiet=True,
                  g_hidden='8', d_hidden='8', **runs[name])
        here = Explorer(tmp_path/'run')
        os.rename(file, f'{file}.gone')
        moved = Explorer(tmp_path/'run')
    assert here.view.real is not None and moved.view.real is None
    for e in (here, moved):
        whole(e)
        assert executed(e)
    same = lambda o: (o.widget.now['words'], o.widget.now['values'], o.widget.now['p'], bytes_in(o.widget.now, 'fake'))
    assert same(here) == same(moved) and here.widget.fixed['names'] == moved.widget.fixed['names']
    if here.view.kind not in ('images', 'series'):
        assert here.view.box[0][0] < np.asarray(here.view.sight.points(here.view.real))[:, 0].mean() < here.view.box[0][1]

def test_moves_in_narrow_noise():
    "Six digits of a number, in any unit"
    e = Explorer(GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, seed=1), uniform(2, 0, 1e-5)), 'ring')
    e._heard(None, dict(do='pad', at=[1.2345678e-6, 3e-6]), [])
    e._heard(None, dict(do='set', i=1, value=3.3333333e-6), [])
    assert e.widget.now['error'] == '' and np.allclose(e.z, [[1.23457e-6, 3.33333e-6]], rtol=1e-6, atol=0) and executed(e, gan=e.gan)

def test_numbers_that_are_far_from_0_tell_items_apart():
    "Of points, and of tables: three digits of what a column varies by"
    far = np.random.default_rng(0).normal((1.7e9, 5000), (30, .05), (300, 2))
    for data in (Samples(far), pd.DataFrame(far, columns=['a', 'b'])):
        e, _ = explored(data)
        def told():
            now = e.widget.now
            return [float(v) for v in (dict(now['words']).values() if now['words'] else now['values'])]
        def true():
            x = e.x
            return x.iloc[0].tolist() if hasattr(x, 'columns') else x[0].tolist()
        assert np.abs(np.subtract(told(), true())).max() < .1 and abs(told()[1] - true()[1]) < .001
        before = told()
        e._heard(None, dict(do='new'), [])
        assert all(a != b for a, b in zip(before, told()))
