"Films without a browser: what `film.js` computes, and who knows of films."
import ast, json, shutil, subprocess, warnings, zlib
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest, torch

import forms
from gan_nbdev.all import *
from gan_nbdev.lab import record
from gan_nbdev.lab.rewinding import Rewindable
from gan_nbdev.lab.scenes import Scene

root = Path(__file__).resolve().parent.parent

@pytest.mark.skipif(shutil.which('node') is None, reason='node is not installed')
def test_what_the_player_computes():
    res = subprocess.run(['node', '--test', root/'tests/film.test.mjs'], capture_output=True,
                         text=True)
    assert res.returncode == 0, res.stdout

def test_nobody_needs_films():
    "Neither `all` nor the command line imports them"
    for p in (root/'gan_nbdev').glob('*.py'):
        names = [getattr(o, 'module', None) for o in ast.walk(ast.parse(p.read_text()))]
        assert 'gan_nbdev.lab.film' not in names and 'film' not in names, p

# ---- data of one's own

small = {'generator.hidden': [8], 'discriminator.hidden': [8], 'batch_size': 32, 'device': 'cpu', 'engine': 'eager'}
own_data = {
    **{f'images {k}': lambda v=v: Samples(v) for k, v in forms.images.items()},
    **{f'series {k}': lambda v=v: Samples(v, kind='series') for k, v in forms.series.items()},
    **{f'table, {k}': lambda v=v: v for k, v in forms.tables.items()},
    'labelled': lambda: get_data(forms.people(), label='colour'), '1-D': lambda: forms.waves[:, :1], '5-D': lambda: forms.waves[:, :5]}

def page(film):
    "What a page holds: words, and how many bytes of arrays there are and should be"
    info, _, b = zlib.decompress(b64decode(film._data([0, 0]))).partition(b'\0')
    info = json.loads(info)
    return info, len(b), sum(size*n*int(np.prod(shape)) for _, size, n, shape, *_ in info['parts'])

@pytest.mark.parametrize('name', own_data)
def test_films_of_data_of_ones_own(name):
    film = record(experiment(own_data[name](), **small).trainer(), 4, frames=3)
    info, there, told = page(film)
    assert there == told and len(film) == 3 and film.picture()
    scene = info['scene']
    if scene['kind'] == 'images':
        form = name.removeprefix('images ')
        assert {bytes(o) for f in film.frames for o in f['near']} <= forms.seen[form] and np.prod(scene['shape']) == scene['dim']
    if scene['kind'] == 'series': assert film.still['real'].shape == (30, *scene['shape']) and abs(film.still['real']).min() > 16
    if name.startswith('table'): assert scene['names'][0] in own_data[name]().columns
    assert 'about' in scene and all(0 <= o[0] < o[1] or o[0] < o[1] for o in scene['box'])

def test_a_film_with_a_live_plot_prints_one_figure(monkeypatch):
    monkeypatch.setattr('gan_nbdev.plots._in_notebook', lambda: True)
    class Live(LivePlot):
        figures = 0
        def _show(self, png): self.figures, self.handle = self.figures + (self.handle is None), 1
    t, live = experiment('ring', **small).trainer(), Live(every_s=0)
    t.hooks.append(live)
    film = record(t, 40, frames=8)
    assert live.figures == 1 and film.iterations[0] == 0 and film.iterations[-1] == 40 and len(film) == 8

def test_what_is_logged_is_no_part_of_a_picture():
    "Names of arrays and of the Lab's figures: in a film they are curves, and nothing else"
    class Logs:
        every = 1
        def after_block(self, t):
            for name in ('real', 'fakes', 'heat', 'z', 'step', 'at', 'accuracy', 'modes'): t.log(name, 1000.)
    t = experiment('two_moons', 'lab', **small).trainer()
    t.hooks = [Logs()]
    film = record(t, 5, frames=3, fakes=50, cells=10)
    info, *_ = page(film)
    names = [o[0] for o in info['parts']]
    assert t.iteration == 5 and len(names) == len({*names}) and {' real', ' step'} <= {*info['curves']}
    assert film.curves['at'].tolist() == film.iterations and film.curves['step'].tolist() == [1, 2, 3, 4, 5]
    assert film.curves['accuracy'].max() <= 1 and 'modes' not in film.curves and film.picture()

def test_a_film_has_blanks_where_d_says_nan():
    class Half(torch.nn.Module):
        def forward(self, x): return torch.where(x[:, :1] > 0, x[:, :1], torch.nan)
    film = record(experiment('ring', 'lab', **small).trainer(), 2, frames=2, cells=10)
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), Half(), normal(2))
    film.frames[1]['heat'] = Scene(gan, ring(), 50, 10).frame(gan, None)['heat']
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        _, frames = film._arrays()
        assert film.picture() and page(film)
    assert np.isfinite(frames['heat'][0]).all() and np.isinf(frames['heat'][1]).mean() == .5

def test_a_film_that_a_hook_ends(monkeypatch):
    class Enough:
        def after_iteration(self, trainer):
            if trainer.iteration >= 7: trainer.stop('enough')
    t = experiment('ring', **small).trainer()
    t.hooks.append(Enough())
    assert record(t, 40, frames=3).iterations[-1] == 7

def test_a_film_of_one_moment(tmp_path):
    class No:
        def before_fit(self, trainer, n): trainer.stop('no')
    t = experiment('ring', **small).trainer()
    t.hooks.append(No())
    film = record(t, 40, frames=3)
    assert repr(film) == 'Film of ring: one moment, at iteration 0' and film.picture() and film.save(tmp_path/'x.gif').exists()

def test_noise_of_any_range_is_in_the_film():
    film = record(experiment('ring', noise=dict(name='uniform', dim=3, low=0., high=255.), **small).trainer(), 2, frames=2)
    z, (low, unit) = film.still['z'][:, :2], film._units()['z']
    assert z.max() > 200 and (low <= z.min(0)).all() and (low + 65535*unit >= z.max(0)).all() and (unit < .1).all()

def test_filming_changes_nothing():
    "One training, stopped to look at by its own blocks"
    a, b = (experiment('ring', **small).trainer() for _ in range(2))
    record(a, 30, frames=6); b.fit(30, progress=False)
    assert all((a.history[k] == b.history[k]).all() for k in b.history)

@pytest.mark.parametrize('name', ['table, mixed', '1-D', 'images (n, 8, 8) bytes', 'series (n, 64)'])
def test_moving_pictures(tmp_path, name):
    import PIL.Image
    film = record(experiment(own_data[name](), **small).trainer(), 6, frames=3)
    with PIL.Image.open(film.save(tmp_path/'run.gif')) as o:
        assert o.n_frames == len(film) and o.info['loop'] == 0 and 100 < min(o.size) < 500

def test_a_film_as_mp4(tmp_path, monkeypatch):
    "By ffmpeg; where that is missing it is refused in one line, and no file is left"
    film = record(experiment('ring', **small).trainer(), 6, frames=3)
    if shutil.which('ffmpeg'): assert film.save(tmp_path/'run.mp4').read_bytes()[4:8] == b'ftyp'
    monkeypatch.setenv('PATH', '')
    with pytest.raises(FileNotFoundError, match='written by ffmpeg, which is not installed') as e: film.save(tmp_path/'none.mp4')
    assert '\n' not in str(e.value) and not [*tmp_path.glob('*none*')]

@pytest.mark.parametrize('game, critic', [('wgan-gp', True), ('non-saturating', False)])
def test_a_film_knows_whether_d_gives_probabilities(game, critic):
    "Its page and its pictures say ½ only where there is one"
    info, *_ = page(film := record(experiment('ring', game=game, **small).trainer(), 6, frames=3))
    assert film.critic == info['critic'] == [critic]*len(film)

def test_a_film_knows_it_of_each_moment():
    "Also where the game became another one on the way: ½ belongs to the moments that have it"
    run = Rewindable(experiment('ring', 'lab', game='wgan-gp', **small)).fit(5)
    run.note(force=True)
    run.change(dict(game='non-saturating'))
    run.fit(5)
    film = record(run, frames=9)
    assert film.critic == [i < 5 for i in film.iterations] and {*film.critic} == {True, False}
    label = lambda i: film._moment(i).axes[1].get_ylabel()
    assert (label(0), label(len(film) - 1)) == ('D(x), least to most', 'D(x)')
    assert film._figure().axes[-1].get_ylabel() == 'D(x); of a critic, least to most'

def test_fakes_that_are_nan_are_outside_the_film():
    "And pull nowhere; in what has no room for 10⁹, too"
    film = record(experiment('ring', **small).trainer(), 2, frames=2, cells=10)
    for k in ('fakes', 'arrows'): film.frames[1][k][:3] = np.nan
    _, frames = film._arrays()
    assert (frames['arrows'][1, :3] == 0).all()
    film.scene['box'] = [[0, 3e9]]*2
    low, unit = film._units()['fakes']
    from gan_nbdev.lab.film import _packed
    part, b = _packed('fakes', frames['fakes'][1:], low, unit)
    q = np.frombuffer(b, 'u1').reshape(2, -1).T.copy().view('<u2').reshape(-1, 2)
    at = low + ((q >> 1) ^ -(q & 1))*unit
    assert (at[:3] > 3e9).all() and (at[3:] < 3e9).all()

def test_a_name_is_text_on_the_page(tmp_path):
    film = record(experiment('ring', **small).trainer(), 2, frames=2, cells=10)
    film.name = '<img src=x onerror=alert(1)> & more'
    text = film.save(tmp_path/'x.html').read_text()
    assert '<img' not in text and text.count('&lt;img src=x onerror=alert(1)&gt; &amp; more') == 2

def test_a_film_of_a_run_folder(tmp_path):
    from gan_nbdev.cli import gan_train
    forms.people().to_csv(tmp_path/'people.csv', index=False)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')          # fewer rows than a minibatch
        gan_train(str(tmp_path/'people.csv'), out=str(tmp_path/'run'), steps=20, quiet=True, g_hidden='8', d_hidden='8',
                  device='cpu', engine='eager')
        film = record(Rewindable.open(tmp_path/'run'), 5, frames=3)
    assert film.iterations[0] == 20 and film.scene['names'] == ['height', 'income'] and film.save(tmp_path/'x.html').exists()

@pytest.mark.parametrize('data', [forms.blocks, forms.only_categories], ids=['blocks', 'categories'])
def test_what_cannot_be_drawn_is_refused_before_the_first_iteration(data):
    t = experiment(data, **small).trainer()
    with pytest.raises(ValueError, match='have no picture|no column holds numbers'): record(t, 10)
    assert t.iteration == 0

def test_no_run_is_lost_to_a_film():
    "What cannot be seen any more ends the film, not the training"
    class Veiled(Samples):
        off = False
        def unscale(self, x):
            if self.off: raise RuntimeError('no sight')
            return super().unscale(x)
    class Veil:
        def after_iteration(self, trainer): trainer.data.off = trainer.iteration >= 10
    rows = np.random.default_rng(0).normal(size=(200, 2))
    seen, veiled = (experiment(o(rows), **small).trainer() for o in (Samples, Veiled))
    veiled.hooks.append(Veil())
    with pytest.warns(UserWarning, match='the film ends at iteration .*, the training goes on: no sight') as w:
        film = record(veiled, 20, frames=8)
    assert len([o for o in w if 'film' in str(o.message)]) == 1 and veiled.iteration == 20
    assert 1 < len(film) < 8 and film.iterations[-1] < 10 and film.picture() and page(film)[1]
    seen.fit(20, progress=False)
    assert all(a.equal(b) for a, b in zip(seen.gan.parameters(), veiled.gan.parameters()))

def test_what_draws_from_the_global_generators_is_filmed_alike():
    class Fuzzy(torch.nn.Linear):
        def forward(self, z): return super().forward(z) + torch.randn(len(z), 2)
    class Beta:
        dim, name = 2, 'beta'
        def sample(self, n, generator=None, device=None): return torch.distributions.Beta(torch.ones(2), torch.ones(2)).sample((n,))
    def frames():
        torch.manual_seed(0)
        t = Trainer(GAN(Fuzzy(2, 2), mlp_discriminator(2, (8,), seed=1), Beta()), ring(), batch_size=16, device='cpu', engine='eager')
        torch.randn(len(seen) + 1)
        run = Rewindable(trainer=t)
        before, film = torch.get_rng_state(), record(run, 4, frames=3)
        assert torch.equal(torch.get_rng_state(), before)
        seen.append(film.frames)
    seen = []
    frames(); frames()
    for a, b in zip(*seen):
        for k in a: assert np.array_equal(np.asarray(a[k]), np.asarray(b[k])), k
