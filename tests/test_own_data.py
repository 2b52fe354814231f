"What people do with data, networks and folders of their own: it works, or one line says what to do."
import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import warnings
from copy import deepcopy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import gan_nbdev.experiments
from commands import run
from gan_nbdev.all import *
from gan_nbdev.datasets.tables import table as read_table
from gan_nbdev.cli import gan_eval, gan_sample, gan_train
from gan_nbdev.engines.recorded import Recorded
from gan_nbdev.lab.view import find_gan
from gan_nbdev.measures.pairs import marginals_and_pairs
from gan_nbdev.run_folders import read_record
from gan_nbdev.study import combinations, study

here = Path(__file__).parent
small = dict(device='cpu', engine='eager', quiet=True, batch_size=20, g_hidden='8', d_hidden='8')


def table(path, seed=0, n=200):
    x = np.random.default_rng(seed).normal(size=(n, 2))
    np.savetxt(path, x, delimiter=',', header='a,b', comments='')
    return path


def pictures(folder, n=40, side=6):
    folder.mkdir()
    for i, o in enumerate(np.random.default_rng(0).integers(0, 256, (n, side, side), 'uint8')):
        Image.fromarray(o).save(folder/f'{i}.png')
    return folder


def line(f, error=ValueError):
    "What `f` says when it refuses: one line"
    with pytest.raises(error) as e: f()
    assert str(e.value).count('\n') == 0 and len(str(e.value)) < 400, str(e.value)
    return str(e.value)


def tree(folder): return {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}


# ---- going on

@pytest.fixture
def ring_run(tmp_path):
    gan_train('ring', steps=4, out=tmp_path/'ring', **small)
    return tmp_path/'ring'


def test_resuming_what_is_not_there_is_refused_with_near_names(ring_run):
    there = tree(ring_run.parent)
    said = line(lambda: gan_train(resume=True, out=ring_run.with_name('rong'), **small))
    assert f'--resume has no run to go on with: {ring_run.with_name("rong")} is not a run folder' in said
    assert 'beside it there is ring' in said
    assert 'beside' not in line(lambda: gan_train(resume=True, out=ring_run.with_name('x'), **small))
    (ring_run.parent/'empty').mkdir()
    assert 'empty is not a run folder' in line(lambda: gan_train('ring', resume=True, out=ring_run.parent/'empty', **small))
    assert tree(ring_run.parent) == there


@pytest.mark.parametrize('left', ['.lock', 'checkpoints'])
def test_a_run_that_was_killed_before_its_first_checkpoint(left, tmp_path, capsys):
    out = tmp_path/'a'
    out.mkdir()
    if left == '.lock': (out/left).write_text('process 1 on x')
    else: (out/left).mkdir()
    for f in (gan_sample, gan_eval): assert 'has no checkpoint yet' in line(lambda: f(out))
    assert 'give its data and its settings once more' in line(lambda: gan_train(resume=True, out=out, steps=3))
    gan_train('ring', resume=True, out=out, steps=3, **small)
    assert 'was stopped before its first checkpoint: it begins at iteration 0\n' in capsys.readouterr().out
    assert read_record(out)['story'] == [{'fit': 3}]


def test_a_finished_run_without_checkpoints_is_not_begun_anew(ring_run):
    shutil.rmtree(ring_run/'checkpoints')
    there = tree(ring_run)
    for data in (None, 'ring'):
        assert 'has no checkpoints to go on from' in line(lambda: gan_train(data, resume=True, out=ring_run))
    assert tree(ring_run) == there


def test_a_killed_run_is_sampled_and_measured(tmp_path):
    gan_train(str(table(tmp_path/'t.csv')), steps=4, out=tmp_path/'r', checkpoint_every=2, **small)
    for p in (tmp_path/'r').iterdir():
        if p.is_file(): p.unlink()   # as far as a killed process comes
    with pytest.warns(UserWarning, match='was not finished: this is iteration 4 of 4'):
        gan_sample(tmp_path/'r', n=5, out=tmp_path/'x.csv')
    with pytest.warns(UserWarning, match='was not finished'): gan_eval(tmp_path/'r', n=50)
    assert len((tmp_path/'x.csv').read_text().splitlines()) in (5, 6)


@pytest.mark.parametrize('kind', ['table', 'array', 'images'])
def test_data_that_were_moved_or_renamed(kind, tmp_path, capsys):
    a, b, more = tmp_path/'a.csv', tmp_path/'sub/b.csv', {}
    if kind == 'table': table(a)
    if kind == 'array':
        a, b = tmp_path/'a.npy', tmp_path/'sub/b.npy'
        np.save(a, np.random.default_rng(0).normal(size=(200, 2)))
    if kind == 'images': a, b, more = pictures(tmp_path/'a'), tmp_path/'sub/b', dict(size=4)
    out = tmp_path/'run'
    gan_train(str(a), steps=4, out=out, **small, **more)
    b.parent.mkdir()
    a.rename(b)
    for f in (lambda: gan_train(resume=True, out=out), lambda: gan_eval(out), lambda: Run.open(out),
              lambda: gan_train(config=out, out=tmp_path/'c')):
        said = line(f, FileNotFoundError)
        assert str(a) in said and 'gan-train PATH --resume, gan-eval --data PATH' in said
    with pytest.warns(UserWarning, match='holds the data of .*recorded at') as w: gan_eval(out, data=str(b), n=50)
    assert str(b) in str(w[0].message) and str(a) in str(w[0].message)
    with pytest.warns(UserWarning, match='recorded at'): Run.open(out, data=b)
    with pytest.warns(UserWarning, match='recorded at'):
        opened = Run.open(out, data=get_data(str(b), **more)).fit(2, progress=False)
    with pytest.warns(UserWarning, match='recorded at'):
        gan_train(str(b), resume=True, out=out, steps=6, quiet=True)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        gan_train(resume=True, out=out, steps=7, quiet=True)      # the new place is known
        gan_train(str(b), resume=True, out=out, steps=8, quiet=True)
        again = Run.open(out)
    assert again.iteration == 8 and opened.iteration == 6 and Path(again.begun['data.file']) == b
    assert Run.repeat(out).trainer.sample(3) is not None


def test_data_with_other_content_are_refused_whatever_their_name(tmp_path):
    a, b = table(tmp_path/'a.csv'), table(tmp_path/'b.csv', seed=1)
    out = tmp_path/'run'
    gan_train(str(a), steps=4, out=out, **small)
    there = tree(out)
    for f in (lambda: gan_train(str(b), resume=True, out=out), lambda: gan_eval(out, data=str(b)),
              lambda: Run.open(out, data=get_data(str(b))), lambda: Run.repeat(out, data=get_data(str(b)))):
        assert 'b is not the data that was recorded: what is in it differs' in line(f)
    table(a, seed=2)
    assert 'a is not the data that was recorded: it has changed since' in line(lambda: gan_train(resume=True, out=out))
    assert 'ring is not the data that was recorded' in line(lambda: (table(a), gan_train('ring', resume=True, out=out)))
    assert tree(out) == there


@pytest.mark.parametrize('of, other', [('t.csv', 'pics'), ('t.csv', 'a.npy'), ('pics', 't.csv')])
def test_what_was_said_of_a_table_is_not_said_of_other_data(tmp_path, of, other):
    (tmp_path/'t.csv').write_text('x,y,cls\n' + ''.join(f'{i},{i*i % 7},{"ab"[i % 2]}\n' for i in range(30)))
    for c in 'ab':
        (tmp_path/'pics').mkdir(exist_ok=True)
        pictures(tmp_path/'pics'/c)
    np.save(tmp_path/'a.npy', np.zeros((5, 2)))
    gan_train(str(tmp_path/of), steps=1, out=tmp_path/'r', label='cls' if of == 't.csv' else 'folder', **small)
    why = f'{tmp_path/other} is {"" if other == "t.csv" else "not "}read as a table, unlike the data of {tmp_path/"r"}'
    for f in (lambda: gan_eval(tmp_path/'r', data=str(tmp_path/other)), lambda: gan_train(str(tmp_path/other), resume=True, out=tmp_path/'r')):
        assert line(f) == why


def test_what_was_said_of_the_data_need_not_be_said_again(tmp_path):
    a, out = pictures(tmp_path/'a'), tmp_path/'run'
    gan_train(str(a), steps=3, size=4, out=out, **small)
    gan_train(str(a), steps=4, resume=True, out=out, quiet=True)
    assert '--size 5 differs from the 4' in line(lambda: gan_train(str(a), size=5, resume=True, out=out))
    gan_train(str(a), config=out, out=tmp_path/'b', quiet=True)
    assert read_record(tmp_path/'b')['data']['shape'] == [4, 4]


# ---- names and paths

def test_a_path_is_a_path_and_a_name_a_name(tmp_path, monkeypatch):
    pictures(tmp_path/'digits')
    monkeypatch.chdir(tmp_path)
    for what in ('./digits', 'digits/', Path('digits'), str(tmp_path/'digits')):
        assert experiment(what).load_data().dim == 36
        assert experiment('ring').changed({'data': what}).load_data().dim == 36
    for e in (experiment({'file': 'digits'}), experiment('ring').changed({'data': {'file': 'digits'}})):
        assert e.load_data().dim == 36
    rows = np.random.default_rng(0).normal(size=(30, 2)).astype('f4')
    for what in (rows, torch.from_numpy(rows), pd.DataFrame(rows), TensorDataset(torch.from_numpy(rows))):
        e = experiment('ring', batch_size=30, device='cpu', engine='eager')
        for t in (e.changed({'data': what}).trainer(), e.trainer(what)): assert t.data.dim == 2 and len(t.data) == 30
    with pytest.warns(UserWarning, match='give ./digits'): assert experiment('digits').load_data().dim == 64
    gan_train('./digits', steps=2, out='a', **small)
    gan_train(steps=2, out='b', set=['data=./digits'], **small)
    assert [read_record(o)['data']['dim'] for o in 'ab'] == [36, 36]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for f in (lambda: experiment('./digits'), lambda: experiment('ring')): f()


def test_the_wrong_thing_in_the_place_of_data_or_a_run(ring_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = line(lambda: gan_train('ring/', out='x', **small))
    assert 'ring/ is a run folder: --resume --out ring/' in said and 'gan-sample ring/' in said
    for f in (gan_sample, gan_eval):
        said = line(lambda: f('rin'))
        assert said == 'rin is not a run folder: there is no such folder; beside it there is ring'
    assert line(lambda: gan_train('ring', size=28, out='x')).startswith('--size is no option of this data')
    table(tmp_path/'t.csv')
    assert '--noise_dim must be' in line(lambda: gan_train('ring', noise_dim=-1, out='x'))
    for option, big, least in (('n', 10**30, 1), ('seed', 2**63, 0)):
        assert line(lambda: gan_sample('ring', **{option: big})) == (
            f'--{option} must be a whole number of at least {least} and below 2**63, not a number of more than 63 bits')
    assert not Path('x').exists() and not Path('ring/samples.npy').exists()


def test_a_metric_that_is_not_measured_is_noticed_before_the_training(tmp_path):
    (tmp_path/'e.json').write_text(experiment('ring', steps=3, device='cpu', engine='eager').json())
    def ask(metric): return run('gan-study', 'e.json', '--seeds', 1, '--metric', metric, '--out', 's', cwd=tmp_path)
    r = ask('fid')
    assert r.returncode == 2 and r.stderr.startswith('gan-study: error: --metric fid must be one of modes')
    assert not (tmp_path/'s').exists()
    assert 'final_value' in ask('final_value').stdout


def test_classes_are_told_beside_the_samples(tmp_path, capsys):
    gan_train('digits', steps=2, classes=10, out=tmp_path/'r', **small)
    capsys.readouterr()
    gan_sample(tmp_path/'r', n=30, out=tmp_path/'x.npy')
    assert 'a .csv file has them in a column' in capsys.readouterr().out
    gan_sample(tmp_path/'r', n=30, out=tmp_path/'x.csv')
    frame = pd.read_csv(tmp_path/'x.csv')
    assert frame.columns[-1] == 'class' and frame.shape == (30, 65) and set(frame['class']) <= {*range(10)}
    assert len({*frame['class']}) > 3
    assert np.allclose(frame.values[:, :64], np.load(tmp_path/'x.npy').reshape(30, 64))
    gan_sample(tmp_path/'r', n=4, y=3, out=tmp_path/'y.csv')
    assert [*pd.read_csv(tmp_path/'y.csv')['class']] == [3]*4
    assert 'column' not in capsys.readouterr().out


# ---- numbers that are none

holes = torch.rand(200, 3)
holes[37, 1] = float('nan')

class Map(Dataset):
    def __len__(self): return len(holes)
    def __getitem__(self, i): return holes[i], 0

class Iterable(IterableDataset):
    def __iter__(self): return iter(holes)

def of_three(data):
    gan = GAN(mlp_generator(2, 3, (8,)), mlp_discriminator(3, (8,)), normal(2))
    return Trainer(gan, data, batch_size=20, engine='eager', device='cpu')


@pytest.mark.parametrize('make', [Map, lambda: TensorDataset(holes), Iterable, lambda: DataLoader(Map(), 20),
                                  lambda: DataLoader(Map(), 20, shuffle=True), lambda: DataLoader(Iterable(), 20)])
def test_nan_in_a_stream_is_named_and_not_blamed_on_the_rate(make):
    data = make()
    said = line(lambda: of_three(get_data(data)).fit(12, progress=False))
    assert 'rate' not in said and 'data must be finite' in said and 'nan' in said
    if isinstance(data, (Map, TensorDataset)): assert 'item 37' in said


def test_masked_entries_tables_and_sparse_tensors_are_refused_where_numbers_are_wanted():
    x = np.random.default_rng(0).normal(size=(300, 2))
    masked = np.ma.masked_greater(x, 2)
    n = int(masked.mask.sum())
    for f in (get_data, Samples, lambda o: coverage(o, ring())):
        assert f' has {n} masked values: fill them' in line(lambda: f(masked))
    assert len(Samples(np.ma.masked_greater(x, 99))) == len(get_data(np.ma.masked_greater(x, 99))) == 300
    assert 'x is a DataFrame: get_data and table take it' in line(lambda: Samples(pd.DataFrame(x)))
    t = torch.tensor(x)
    for o, why in ((t.to_sparse(), 'to_dense()'), (t.to_sparse_csr(), 'to_dense()'), (x.astype(object), 'np.array(x, float)')):
        for f in (get_data, Samples): assert why in line(lambda: f(o))


# ---- NumPy's numbers

I, F, B = np.int64, np.float32, np.bool_

def ring_trainer(**k):
    gan = GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,)), normal(2))
    return Trainer(gan, ring(), **{**dict(engine='eager', device='cpu', batch_size=8), **k})

numpys = {
    'trainer': lambda: ring_trainer(batch_size=np.uint8(200), seed=I(1), k=np.int8(1), k_g=I(2), accumulate=I(2), ema=F(3)),
    'fit': lambda: ring_trainer().fit(I(2), progress=False), 'sample': lambda: ring_trainer().sample(I(3), I(4)),
    'alone': lambda: ring_trainer().alone('d', I(2)), 'change': lambda: ring_trainer().change(k=I(2), batch_size=I(4)),
    'networks': lambda: mlp(I(2), I(2), np.array([8]), seed=I(0), dropout=F(.1), input_dropout=F(.1), init=F(.1), classes=I(3)),
    'maxout': lambda: mlp(2, 1, (I(3),), act='maxout', pieces=I(2)),
    'rules': lambda: ring_trainer(d_rule=adam(F(1e-3), (F(.5), F(.9))), g_rule=momentum_sgd(F(.1), F(.5))).fit(2, progress=False),
    'schedule': lambda: ring_trainer(d_rule=adam(linear(F(1e-3), F(0), I(10), begin=I(1)))).fit(2, progress=False),
    'clips': lambda: ring_trainer(d_rule=Rule(torch.optim.RMSprop, lr=F(1e-3), centered=B(True), clip_gradient=F(1))),
    'data': lambda: [ring(I(5), F(1), F(.1)).sample(I(3)), uniform(I(3), F(-1), F(1)).sample(I(2))],
    'hook': lambda: ring_trainer(hooks=[EarlyStop(lambda t: 1., every=I(1), patience=I(2))]).fit(3, progress=False)}

@pytest.mark.parametrize('what', numpys)
def test_numpy_numbers_are_numbers(what): numpys[what]()


def test_numpy_numbers_in_a_description_and_a_run(tmp_path):
    e = experiment('ring', steps=I(3), device='cpu', engine='eager', batch_size=I(8), seed=np.uint8(3), k=np.int32(1), ema=F(5),
                   **{'generator.hidden': np.array([8]), 'discriminator.hidden': [I(8)], 'noise.dim': I(3), 'd_rule.lr': F(1e-3),
                      'g_rule.betas': np.array([.5, .9]), 'discriminator.dropout': F(.1), 'data.n': I(5), 'd_rule.amsgrad': B(False)})
    assert Experiment.from_json(e.json()) == e and e['seed'] == 3 and type(e['noise.dim']) is int
    r = Run(e).fit(I(2), progress=False).change({'k': I(2), 'd_rule.lr': F(1e-4)}).alone('d', I(2)).fit(I(1), progress=False)
    json.dumps(r.record())
    r.save(tmp_path/'r')
    assert Run.open(tmp_path/'r').story == Run.repeat(tmp_path/'r').story == r.story
    played = Run(e)
    played.plan = [{'fit': I(2)}, {'alone': 'd', 'times': I(1)}, {'change': {'k': I(2)}}, {'fit': I(2)}]
    json.dumps(played.record())
    assert played.go_on().iteration == 4
    gan_train('ring', steps=I(3), seed=I(1), out=tmp_path/'c', device='cpu', engine='eager', batch_size=I(8), lr=F(1e-3), ema=F(4),
              noise_dim=I(2), g_hidden=np.array([8]), d_hidden=[I(8)], checkpoint_every=I(2), quiet=B(True), resume=B(False))
    gan_sample(tmp_path/'c', n=I(5), seed=I(2))


def test_numpy_numbers_in_a_study():
    e = experiment('ring', steps=2, device='cpu', engine='eager', batch_size=8)
    s = study(combinations(e, {'k': np.array([1, 2])}), np.arange(2), progress=False, metrics=dict(n=lambda t: F(t.iteration)))
    assert len(s.results) == 4


# ---- too large

def test_too_many_parameters_are_refused_before_a_network_is_made(tmp_path, monkeypatch):
    photos = pictures(tmp_path/'photos', 2, 512)
    def build(*args, **kwargs): raise AssertionError('a network was made')
    with monkeypatch.context() as patch:
        patch.setattr('gan_nbdev.engines.parts.mlp_generator', build)
        said = line(lambda: gan_train(str(photos), recipe='images', batch_size=2, device='cpu', out=tmp_path/'r'))
        assert f'parameters for items of {512*512:,} numbers, and may have 100,000,000: give --size ' in said
        size = int(said.split('--size ')[1].split()[0])
        assert not (tmp_path/'r').exists()
        e = experiment(get_data(np.zeros((3, 512, 512), 'uint8') + np.arange(3, dtype='uint8')[:, None, None]), 'images', batch_size=2)
        assert f'give images of {size}×{size} at most' in line(e.gan)
        wide = experiment('ring', **{'discriminator.hidden': [20_000, 20_000]})
        for f in (wide.gan, wide.trainer): assert 'give fewer or narrower layers' in line(f)
    e = experiment('mnist', 'images')
    limit = gan_nbdev.experiments.most_parameters
    assert e.parameters(size**2) <= limit < e.parameters((size + 1)**2)


@pytest.mark.parametrize('changes', [{}, dict(classes=3), dict(pack=2), {'discriminator.reconstruct': True},
                                     {'generator.norm': 'batch', 'discriminator.act': 'maxout', 'discriminator.hidden': [5, 6]},
                                     {'generator.hidden': [], 'noise.dim': 7}])
def test_parameters_are_counted_as_they_are(changes):
    data = Samples(torch.rand(200, 5), 'unit', labels=[0, 1, 2, 2]*50)
    e = experiment(data, 'points', **changes)
    assert e.parameters(5) == sum(p.numel() for p in e.gan().parameters())


def test_many_samples_are_made_in_pieces():
    gan, most = GAN(mlp_generator(3, 5, (8,), norm='batch', classes=2), mlp_discriminator(5, (8,), classes=2), normal(3), classes=2), []
    gan.generator.register_forward_hook(lambda m, v, out: most.append(len(out)))
    def rng(): return torch.Generator().manual_seed(0)
    x = gan.sample(10_000, rng())
    assert max(most) == 4096 and sum(most) == 10_000 and x.shape == (10_000, 5)
    most.clear()
    z = gan.draw_noise(10_000, g := rng())
    y = gan.draw_labels(10_000, g)
    with torch.no_grad(): whole = gan.eval()(z, y)
    assert torch.allclose(whole, x, atol=1e-6)
    most.clear()
    gan.sample(4096, rng())
    assert most == [4096]   # as it always was


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='no /proc, which tells the most memory so far')
def test_a_checkpoint_takes_no_copies_of_the_state(tmp_path):
    code = f"""
import re, torch
from gan_nbdev.engines.checkpoints import read_checkpoint, write_checkpoint
def most(): return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])/1024
state = dict(w=torch.ones(30_000_000), m=[torch.ones(5_000_000)]*2)   # 160 MB
path, about = {str(tmp_path/'c.safetensors')!r}, dict(iteration=0, settings={{}}, versions={{}}, notes=None)
write_checkpoint(path, dict(w=torch.ones(3)), **about); read_checkpoint(path)
a = most(); write_checkpoint(path, state, **about)
b = most(); there = read_checkpoint(path)[0]
print(b - a, most() - b, torch.equal(there['w'], state['w']))"""
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    written, read, same = said.stdout.split()
    assert float(written) < 40 and float(read) < 200 and same == 'True', (said.stdout, said.stderr)


# ---- games and networks of one's own

def d_loss(real, fake): return softplus(-real).mean() + softplus(fake).mean()
def g_loss(fake): return softplus(-fake).mean()
def branching(real, fake): return d_loss(real, fake) if real.mean() > 0 else 2*d_loss(real, fake)

games_of_ones_own = {
    'a Python number': ((lambda real, fake: d_loss(real, fake).item(), g_loss), 'd_loss must give one number, a tensor of shape (), not'),
    'for G': ((d_loss, lambda fake: 0.5), 'g_loss must give one number, a tensor of shape (), not 0.5: calculate with tensors'),
    'nothing': ((lambda real, fake: None, g_loss), 'not None: it lacks a return'),
    'a number a row': ((lambda real, fake: softplus(fake), g_loss), 'not shape (16,): take its mean'),
    'whole': ((lambda real, fake: torch.tensor(3), g_loss), 'not torch.int64: give it as floating point'),
    'detached': ((lambda real, fake: d_loss(real, fake).detach(), g_loss), 'a loss must depend on the weights of who moves'),
    'a figure': (Game(d_loss, g_loss, figures=dict(mine=lambda real: real.mean().item())), 'mine must give one number, a tensor of shape ()'),
    'a term': (Game(d_loss, g_loss, d_terms=dict(mine=lambda x: 1.)), 'mine must give one number, a tensor of shape (), not 1.0')}

@pytest.mark.parametrize('engine', ['eager', 'recorded'])
@pytest.mark.parametrize('what', games_of_ones_own)
def test_a_game_that_gives_no_loss_is_told_so(what, engine):
    game, why = games_of_ones_own[what]
    t = ring_trainer(game=game, batch_size=16)
    assert why in line(lambda: t.fit(2, progress=False) if engine == 'eager' else Recorded(t))


def test_a_game_that_branches_is_for_the_eager_engine():
    assert ring_trainer(game=(branching, g_loss)).fit(2, progress=False).iteration == 2
    said = line(lambda: Recorded(ring_trainer(game=(branching, g_loss))))
    assert "only the eager engine can train it: it goes another way by what is in a tensor, as 'if'" in said


class Upward(nn.Module):
    def __init__(self, z=16, classes=None):
        super().__init__()
        self.up, self.of = nn.ConvTranspose2d(z, 1, 8), nn.Embedding(classes, z) if classes else None
    def forward(self, z, labels=None): return self.up(z + self.of(labels)[..., None, None] if self.of else z)

class Plain(nn.Module):
    def __init__(self, channels=1):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, 4, 8), nn.Flatten(), nn.Linear(4, 1))
    def forward(self, x): return self.layers(x)

class Told(Plain):
    def forward(self, x, labels): return self.layers(x)

networks = {
    'noise': (lambda: GAN(Upward(16), Plain(), normal(20)), 'give noise of that length, as normal(16)'),
    'noise of a perceptron': (lambda: GAN(mlp_generator(16, 64), Plain(), normal(20)), 'give noise of that length, as normal(16)'),
    'classes of G': (lambda: GAN(Upward(16, 10), Told(), normal(16)), 'its forward takes labels as well: if these are classes, give classes=…'),
    'classes of D': (lambda: GAN(Upward(16), Told(), normal(16)), 'its forward takes labels as well: if these are classes, give classes=…'),
    'no classes': (lambda: GAN(Upward(16, 10), Plain(), normal(16), classes=10), 'its forward takes no classes: leave out classes=…'),
    'other classes': (lambda: GAN(mlp_generator(2, 2, classes=10), mlp_discriminator(2, classes=3), normal(2), classes=10),
                      'the discriminator knows 3 classes, but classes is 10'),
    'pack': (lambda: GAN(Upward(16), Plain(2), normal(16)), 'give pack=2'),
    'pack of a perceptron': (lambda: GAN(mlp_generator(16, 64), mlp_discriminator(64, pack=3), normal(16)), 'give pack=3'),
    'not packed': (lambda: GAN(Upward(16), Plain(), normal(16), pack=2), 'its first layer takes 1: with pack=2 it must take 2'),
    'a class': (lambda: GAN(Upward, Plain(), normal(16)), 'not the class Upward: give Upward(…)'),
    'described': (lambda: experiment('digits', generator=Upward(16), discriminator=Plain(2),
                                     noise=dict(name='normal', dim=16)).gan(), 'give pack=2')}

@pytest.mark.parametrize('what', networks)
def test_networks_that_do_not_fit_are_told_what_to_give(what):
    make, why = networks[what]
    assert why in line(make)


def test_a_warning_points_at_the_line_that_led_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'ring').touch()
    x = np.random.default_rng(0).normal(size=(100, 3))
    data = Samples(x)
    for f in (lambda: Trainer(GAN(mlp_generator(2, 3, (8,)), mlp_discriminator(3, (8,)), normal(2)), data),
              lambda: experiment(data).trainer(), lambda: experiment('ring'), lambda: gan_train('ring', steps=1, out='r', **small),
              lambda: Samples(x*[1, 0, 1])):
        with pytest.warns(UserWarning) as w: f()
        assert {o.filename for o in w if str(o.message).split(' ')[0] in ('ndarray', 'samples', 'ring', 'columns')} == {__file__}


class WithGap(Dataset):
    def __init__(self, error=None): self.error = error
    def __len__(self): return 40
    def __getitem__(self, i):
        if i == 7 and self.error: raise self.error
        return torch.full((2,), torch.nan) if i == 7 else torch.randn(2, generator=torch.Generator().manual_seed(i))


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('error, says', [
    (None, 'the data must be finite numbers, but item 7 holds nan'), (ValueError('7 is\nbroken'), '7 is broken'), (OSError('7 is gone'), '7 is gone'),
    (RuntimeError('own'), None)])
def test_an_item_that_fails_is_named_in_one_line_by_a_worker_too(workers, error, says):
    source = Stream(WithGap(error), scale=None, num_workers=workers).source(8, torch.Generator())
    def read(): return [source.next() for _ in range(5)]
    if says is None:
        with pytest.raises(RuntimeError, match='own'): read()
    elif workers: assert says == line(read, type(error or ValueError()))
    else:
        with pytest.raises((ValueError, OSError)) as e: read()
        assert ' '.join(str(e.value).split()) == says
    assert not multiprocessing.active_children()


class Away(Dataset):
    "Item 20 cannot be read the first time"
    def __init__(self, file): self.file = file
    def __len__(self): return 64
    def __getitem__(self, i):
        if i == 20 and not self.file.exists():
            self.file.touch()
            raise OSError('the disk is away')
        return torch.full((2,), float(i))


class AwayInOrder(IterableDataset):
    def __init__(self, file): self.items = Away(file)
    def __iter__(self): return (self.items[i] for i in range(64))


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('kind', ['stream', 'iterable', 'loader'])
def test_a_minibatch_that_could_not_be_read_is_read_once_more(tmp_path, kind, workers):
    "None is left out, and the epoch goes on to its end"
    def made(file):
        if kind == 'loader': return Loaded(DataLoader(Away(file), batch_size=8, num_workers=workers), scale=None)
        return Stream((Away if kind == 'stream' else AwayInOrder)(file), scale=None, num_workers=workers)
    def read(data):
        source, got = data.source(8, torch.Generator().manual_seed(0)), []
        while len(got) < 8:
            try: got.append(source.next()[:, 0].tolist())
            except OSError as e:
                assert str(e) == 'the disk is away' and not multiprocessing.active_children()
        return got
    there = tmp_path/'there'; there.touch()
    whole = read(made(there))
    away = tmp_path/'away'; away.touch()
    data = made(away)   # which looks at some items
    away.unlink()
    assert read(data) == whole and away.exists()


def test_an_iterable_dataset_is_read_by_one_worker_at_most(tmp_path):
    assert 'num_workers must be 0 or 1 for an iterable dataset, not 2' in line(lambda: Stream(AwayInOrder(tmp_path), num_workers=2))


def test_a_name_that_means_something_else_here_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path/'digits')
    with pytest.warns(UserWarning, match='for that, give ./digits'): assert len(get_data('digits')) == 1797
    assert len(get_data('./digits')) == 40


def test_a_column_that_never_varies_is_no_axis():
    rows = np.random.default_rng(0).normal(size=(30, 2))
    data = get_data(pd.DataFrame(dict(always=3., a=rows[:, 0], b=rows[:, 1])))
    ax = plot_fakes(data.items(data.sample(20, torch.Generator().manual_seed(0))), data)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ('a', 'b (of 3 columns)')


def test_a_class_is_drawn_by_name_or_number(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 2)).T
    pd.DataFrame(dict(a=x[0], b=x[1], c=['lo', 'mid', 'hi']*20)).to_csv('t.csv', index=False)
    gan_train('t.csv', label='c', steps=1, **small)
    for y, name in (('mid', 'mid'), ('0', 'hi')):
        gan_sample('runs/t', n=4, y=y, out='s.csv', force=True)
        assert {*pd.read_csv('s.csv').c} == {name}
    for y in ('low', '3'):
        assert line(lambda: gan_sample('runs/t', n=4, y=y, out='s.csv', force=True)) == f'--y must be one of 0 (hi), 1 (lo), 2 (mid), not {y}'


def table_of(path, text, **how):
    path.write_text(text)
    return get_data(path, **how)


def test_a_header_of_numbers_is_the_header_and_a_guess_is_said(tmp_path):
    r = np.random.default_rng(0)
    a, b = r.normal(5, 2, 90).round(2), r.integers(0, 5, 90)
    rows = '\n'.join(f'{u},{v}' for u, v in zip(a, b))
    years = table_of(tmp_path/'y.csv', f'2019,2020\n{rows}\n')
    assert (len(years), [c.name for c in years.columns]) == (90, ['2019', '2020']) and 'header=False if it is a row' in years.notes[0]
    shares = table_of(tmp_path/'s.csv', f'0.5,1\n{rows}\n')
    assert len(shares) == 91 and 'header=True if it is the header' in shares.notes[0]


def test_texts_stay_what_they_are(tmp_path):
    def of(cells, **how): return table_of(tmp_path/'t.csv', 'a,c\n' + ''.join(f'{i*.37 % 5:.2f},{o}\n' for i, o in enumerate(cells*30)), **how)
    codes = of(['01234', '00042', '12345'])
    assert codes.columns[1].values == ('00042', '01234', '12345') and 'numbers that begin with 0' in codes.notes[0]
    assert {*codes.items(codes.sample(9, torch.Generator().manual_seed(0))).c} <= {'00042', '01234', '12345'}
    assert of(['01234', '00042', '12345'], kinds=dict(c='whole')).columns[1].kind == 'whole'
    assert of(['1', '2', 'x'], kinds=dict(c='category')).columns[1].values == ('1', '2', 'x')
    assert of(['red ', ' red', 'blue']).columns[1].values == ('blue', 'red')
    assert not [o for o in get_data(tmp_path/'t.csv', drop=['c']).notes if 'drop' in o]


def test_columns_of_every_type_of_pandas():
    a = np.random.default_rng(0).normal(size=200)
    frame = pd.DataFrame(dict(a=a.astype('f4'), b=(40*a).astype('i1'), cut=pd.cut(a, 3), month=pd.period_range('2000-01', periods=200, freq='M'),
                              zone=pd.date_range('2020', periods=200, tz='Europe/Berlin'), lasts=pd.to_timedelta(np.arange(200) % 9, unit='h'),
                              rank=pd.Categorical(['lo', 'hi']*100, ['none', 'lo', 'hi'], ordered=True)))
    data = get_data(frame)
    fakes = data.items(3*torch.randn(500, data.dim, generator=torch.Generator().manual_seed(0)))
    assert [str(fakes[o].dtype) for o in ('a', 'b', 'rank')] == ['float32', 'int8', 'category'] and fakes['rank'].cat.ordered
    assert any('periods' in o for o in data.notes)
    assert data.scale(frame).shape == (200, data.dim) and metrics(frame, data)['distance_zone'] < .2
    for far in (a*1e300, np.uint64(2**63) + np.arange(200, dtype='u8')):
        assert line(lambda: get_data(pd.DataFrame(dict(a=a, far=far)))).startswith("column 'far' goes from")
    assert 'get_data takes arrays' in line(lambda: read_table(a))
    assert line(lambda: get_data(a[:, None]*1e160)).startswith('x must be at most 1e150 in size, or its variance overflows, not ')


def test_a_loaders_own_minibatch_is_that_of_the_experiment():
    rows = TensorDataset(torch.randn(100, 3))
    assert experiment(DataLoader(rows, batch_size=32)).trainer().batch_size == 32
    assert 'batch_size=None' in line(lambda: get_data(DataLoader(rows, batch_size=None)))


def test_numbers_of_a_stream_that_are_far_from_1_are_told_and_standardised_when_asked():
    rows = TensorDataset(torch.randn(500, 2, generator=torch.Generator().manual_seed(0))*30 + 1e4)
    for what in (rows, DataLoader(rows, batch_size=100)):
        with pytest.warns(UserWarning, match="scale='standard' brings them there"): get_data(what)
        x = get_data(what, scale='standard').sample(100, torch.Generator().manual_seed(0))
        assert x.mean().abs() < .5 and .5 < x.std() < 2


def _apart(texts):
    "Do no two of them lie over each other?"
    boxes = [o.get_window_extent() for o in texts if o.get_text()]
    return not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])

def test_a_column_of_many_values_has_its_most_frequent_ones_told():
    rng = np.random.default_rng(0)
    towns = np.array([f'town of number {i}' for i in range(60)])
    fake, real = (pd.DataFrame(dict(town=rng.choice(towns, 500, p=np.arange(1, 61)/1830))) for _ in 'ab')
    ax = plot_samples(fake, real)
    ax.figure.canvas.draw()
    told = [o.get_text() for o in ax.get_yticklabels()]
    assert len(told) == 12 and told[0].endswith(' others') and _apart(ax.get_yticklabels())
    assert sum(o.get_width() for o in ax.containers[0]) == pytest.approx(1)   # of the fakes
    assert len(plot_samples(fake[:3], real[:3]).containers[0]) <= 6           # few values stay as they are

def test_dates_alone_are_drawn_along_time():
    days = pd.DataFrame(dict(day=pd.date_range('2020-01-01', periods=200)))
    ax = plot_samples(days, days[::2])
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == 'day' and '2020' in [o.get_text() for o in ax.get_xticklabels()] and _apart(ax.get_xticklabels())

@pytest.mark.parametrize('panels, n', [(1, 12), (3, 7), (3, 40)])
def test_what_a_record_has_besides_can_be_told_apart(panels, n):
    fig, axs = plt.subplots(1, panels, squeeze=False, figsize=(8, 2.4) if panels > 1 else (4, 2.6), layout='constrained')
    ax = plot_more({f'a long name {i}': np.arange(9.) + i for i in range(n)}, axs[0, -1])
    fig.canvas.draw()
    box, legend = fig.bbox, ax.get_legend().get_window_extent()
    assert len({(o.get_color(), o.get_linestyle()) for o in ax.lines}) == min(n, 20)
    assert box.x0 <= legend.x0 and legend.x1 <= box.x1 and legend.y1 <= box.y1
    assert panels == 1 or legend.x0 > axs[0, -2].get_window_extent().x1
    assert ax.get_window_extent().height > box.height/3

def test_a_name_that_matplotlib_leaves_out_of_legends_costs_no_picture():
    assert len(plot_more({'_hidden': np.ones(9)}).lines) == 1


def test_axes_of_other_units_do_not_squeeze_each_other():
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    assert plot_samples(x).get_aspect() == 1 and plot_samples(x*torch.tensor([1., 1000.])).get_aspect() == 'auto'
    data = get_data(pd.DataFrame(dict(u=x[:, 0], v=1000*x[:, 1])))
    ax = plot_probability(GAN(mlp_generator(2, 2, (8,)), mlp_discriminator(2, (8,)), normal(2)), data)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_aspect()) == ('u', 'v', 'auto')


def _far():
    t = 1_700_000_000 + np.arange(600.)
    return np.stack([t, np.sin(t)], 1)

def test_unix_times_are_told_apart_in_every_plot():
    data = Samples(_far())
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
    for what in (data, [[1.7e9, 1.7e9 + 600], [-1., 1.]], pd.DataFrame(_far(), columns=['t', 'v'])):
        more = {} if hasattr(what, 'shape') else dict(scale=data.scale)
        p = np.asarray(plot_probability(gan, what, **more).collections[0].get_array()).reshape(100, 100)
        assert len(np.unique(p, axis=1).T) > 90
    walk = np.concatenate([o.get_xdata() for o in plot_interpolation(gan, data, n=50).lines])
    assert len({*walk}) > 150
    dots = plot_fakes(data.unscale(data.x), data).collections[1].get_offsets()
    assert len({*dots[:, 0]}) > 590

@pytest.mark.parametrize('v', [[1e8, 1e8 + 8], [1e8]*10, [1e16], [1e20]*3, [1e38, -1e38, 3e38]], ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_a_histogram_of_numbers_that_are_nearly_equal_or_huge(v, dtype, recwarn):
    ax = plot_samples(x := torch.tensor(v, dtype=dtype)[:, None])
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    assert low < x.double().min() and x.double().max() < high and len({*ax.patches[0].get_xy()[:, 0]}) == 61 and not recwarn

def test_a_column_is_a_number_where_it_is_one_in_both():
    ax = plot_samples(pd.DataFrame(dict(a=[1, 2, 3], b=[1, 2, 3])), pd.DataFrame(dict(a=['x', 'y', 'z'], b=[1, 2, 3])))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ('b', 'density')

@pytest.mark.parametrize('std', [.5, .01, .001, 1e-5])
def test_peaks_of_a_density_are_as_high_and_as_heavy_as_they_are(std):
    data, gan = mixture_1d((-2., 1.), std, (.9, .1)), GAN(mlp_generator(1, 1, (8,)), mlp_discriminator(1, (8,)), normal(1))
    ax = plot_1d(gan, data)
    x, p = ax.lines[0].get_data()
    assert len(x) == len(ax.right.lines[0].get_xdata()) < 5000
    assert np.trapezoid(p, x) == pytest.approx(1, abs=.002)
    for at, w in ((-2, .9), (1, .1)): assert p[abs(x - at) < 2*std].max() == pytest.approx(w/std/np.sqrt(2*np.pi), rel=.001)

@pytest.mark.parametrize('huge', [1e17, 1e300, np.inf, -np.inf])
def test_one_huge_loss_is_forgotten_after_a_while(huge, recwarn):
    v = np.ones(1000); v[10] = huge
    for ax in (plot_losses(dict(d_loss=v, g_loss=v)), plot_value(dict(value=v))):
        smooth = ax.lines[1].get_ydata()
        assert (smooth[:10] == 1).all() and (smooth[30:] == 1).all() and abs(smooth[10:30]).min() > 1e15
    assert not recwarn

def test_series_on_a_grid_are_lines():
    waves = np.sin(np.arange(1200.).reshape(10, 60, 2)/9)
    for data in (Samples(waves, kind='series'), Samples(waves[..., 0], kind='series')):
        x = data.unscale(data.x)
        got, want = ([o.get_ydata().tolist() for o in ax.lines] for ax in (image_grid(x, data), plot_samples(x, shape=data)))
        assert len(got) == 10*np.prod(data.shape[1:], dtype=int) and got == want

@pytest.mark.parametrize('gone', ['real', 'fake'])
def test_missing_cells_make_no_histogram_smaller(gone):
    rng = np.random.default_rng(0)
    both = {k: pd.DataFrame(dict(a=rng.uniform(size=1000), c=rng.choice([*'xy'], 1000))) for k in ('real', 'fake')}
    both[gone].loc[:599, ['a', 'c']] = np.nan
    with_gaps = marginals_and_pairs(**both).axes
    both[gone] = both[gone].dropna()
    for a, b in zip(with_gaps[::3], marginals_and_pairs(**both).axes[::3]):
        def tops(ax): return [np.max(o.get_xy()[:, 1]) if hasattr(o, 'get_closed') else o.get_height() for o in ax.patches]
        assert tops(a) == pytest.approx(tops(b))


def test_dates_are_drawn_as_dates_in_every_plane():
    days = pd.date_range('2020', periods=80)
    data = read_table(pd.DataFrame(dict(u=100*np.random.default_rng(0).normal(size=80), day=days, none=1.)))
    one, words = read_table(pd.DataFrame(dict(day=days))), read_table(pd.DataFrame(dict(word=['a', 'b']*40)))
    def gan(dim): return GAN(mlp_generator(2, dim, (8,), seed=0), mlp_discriminator(dim, (8,), seed=1), normal(2))
    x = data.unscale(data.x)
    drawn = [(plot_probability(gan(2), data), ('u', 'day')), (plot_interpolation(gan(2), data), ('u', 'day')), (plot_samples(x, shape=data), ('u', 'day')),
             (plot_fakes(x, data), ('u', 'day')), (plot_interpolation(gan(1), one), ('t', 'day'))]
    for ax, names in drawn:
        ax.figure.canvas.draw()
        assert (ax.get_xlabel(), ax.get_ylabel()) == names
        assert any('20' in o.get_text() or o.get_text().isalpha() for o in ax.get_yticklabels()) and not any(len(o.get_text()) == 5 for o in ax.get_yticklabels())
    ax = plot_samples(one.unscale(one.x), shape=one)
    ax.figure.canvas.draw()
    assert ax.get_xlabel() == 'day' and not any(len(o.get_text()) == 5 for o in ax.get_xticklabels())
    plot_samples(1e4*x, shape=data).figure.canvas.draw()   # beyond all years: days
    ax = plot_probability(gan(2), words)   # whose numbers are no column each
    assert (ax.get_xlabel(), ax.get_ylabel()) == ('$x_1$', '$x_2$')


@pytest.mark.parametrize('own', [True, False])
def test_to_look_at_a_loader_draws_nothing(own):
    generator = torch.Generator().manual_seed(1) if own else None
    loader = DataLoader(TensorDataset(torch.arange(64.)[:, None]), 16, shuffle=True, generator=generator)
    def after(look):
        torch.manual_seed(2)
        if own: generator.manual_seed(1)
        look()
        return torch.cat([x for x, in loader])
    plain = after(lambda: None)
    assert torch.equal(plain, after(lambda: get_data(loader)))
    data = get_data(loader)
    assert torch.equal(plain, after(lambda: data.sample(40)))


# ---- samples as the data were

def seconds(n=300): return 1.69e9 + np.random.default_rng(0).uniform(0, 1000, n)

@pytest.mark.parametrize('kind', ['table', 'array', 'images'])
def test_a_command_gives_the_samples_and_figures_of_the_run(kind, tmp_path, capsys):
    path, more = tmp_path/'t.csv', {}
    if kind == 'table':
        pd.DataFrame(dict(when=pd.to_datetime(seconds().round(), unit='s'), epoch=seconds(), c=['a', 'b', 'b']*100)).to_csv(path, index=False)
        more = dict(label='c')
    if kind == 'array': np.save(path := tmp_path/'t.npy', np.c_[seconds(), seconds()[::-1]])
    if kind == 'images': path = pictures(tmp_path/'t')
    gan_train(str(path), steps=3, out=tmp_path/'r', **small, **more)
    t = Run.open(tmp_path/'r').trainer
    gan_sample(tmp_path/'r', n=300, out=tmp_path/'s.csv')
    if kind == 'table':
        want = t.sample(300)
        back = pd.read_csv(tmp_path/'s.csv', dtype=str).astype(want.dtypes)   # older pandas round what they read
        assert back.when.nunique() > 100 and (back.when == want.when).all() and (back.epoch == want.epoch).all() and (back.c == want.c).all()
    else:
        gan_sample(tmp_path/'r', n=300, out=tmp_path/'s.npy')
        x, back = np.load(tmp_path/'s.npy'), np.loadtxt(tmp_path/'s.csv', delimiter=',')
        want = t.sample(300).numpy()
        assert x.dtype == want.dtype and (x.reshape(300, -1) == want).all() and (back.astype(want.dtype) == want).all()
    capsys.readouterr()
    gan_eval(tmp_path/'r', json=True)
    figures, told = json.loads(capsys.readouterr().out), json.loads((tmp_path/'r/metrics.json').read_text())
    for o in ('obeyed', 'obeyed_real'): figures.pop(o, None)   # of gan-eval alone
    assert len(figures) > 4 and figures == {k: told[k] for k in figures}


def in_folders(folder, *names):
    for i, name in enumerate(names):
        (folder/name).mkdir(parents=True)
        for j in range(10): Image.fromarray(np.full((4, 4), 20*i + j, 'uint8')).save(folder/name/f'{i}-{j}.png')
    return str(folder)


def test_classes_of_images_go_by_their_names(tmp_path):
    def asked(y, run):
        gan_sample(run, n=5, y=y, out=tmp_path/'s.csv', force=True)
        return pd.read_csv(tmp_path/'s.csv', dtype={'class': str})
    for name, names in (('n', ['1', '2', '3']), ('t', ['x', 'ä b'])):
        gan_train(in_folders(tmp_path/name, *names), label='folder', steps=2, out=tmp_path/f'{name}-run', **small)
        assert read_record(tmp_path/f'{name}-run')['data']['class_names'] == names
    t = Run.open(tmp_path/'n-run').trainer
    for i, y in enumerate('123'):
        frame = asked(y, tmp_path/'n-run')
        assert {*frame['class']} == {y} and np.array_equal(frame.iloc[:, :-1].to_numpy('f4'), t.sample(5, y=i))
    for y in ('0', '01', '4'):
        assert line(lambda: asked(y, tmp_path/'n-run')) == f'--y must be one of 1, 2, 3, not {y}'
    assert {*asked('ä b', tmp_path/'t-run')['class']} == {*asked('1', tmp_path/'t-run')['class']} == {'ä b'}
    said = line(lambda: asked('2', tmp_path/'t-run'))
    assert said == '--y must be one of 0 (x), 1 (ä b), not 2'
    rows = [f'{p.name},{"pq"[i % 2]}' for i, p in enumerate(sorted((pictures(tmp_path/'l')).iterdir()))]
    (tmp_path/'l/labels.csv').write_text('\n'.join(rows))
    gan_train(str(tmp_path/'l'), label='labels.csv', steps=2, out=tmp_path/'l-run', **small)
    assert {*asked('q', tmp_path/'l-run')['class']} == {'q'}


def test_names_of_classes_are_kept_with_rows_of_ones_own(tmp_path):
    data = Samples(torch.rand(60, 2), labels=[0, 1]*30)
    data.class_names = ['no', 'yes']
    run = Run(experiment(data, steps=2, batch_size=20, device='cpu', classes=2), data).fit(2, progress=False)
    run.save(tmp_path/'r')
    assert [*Run.open(tmp_path/'r').trainer.data.class_names] == ['no', 'yes']
    gan_sample(tmp_path/'r', n=3, y='yes', out=tmp_path/'s.csv')
    assert [*pd.read_csv(tmp_path/'s.csv')['class']] == ['yes']*3
    there = json.loads((tmp_path/'r/config.json').read_text())
    for entry, bad in (('class_names', [1]), ('double', 3)):
        for p in (tmp_path/'r/checkpoints').iterdir(): p.unlink()
        (tmp_path/'r/config.json').write_text(json.dumps(there | dict(data=there['data'] | {entry: bad})))
        assert entry in line(lambda: gan_sample(tmp_path/'r', n=3, out=tmp_path/'x.csv'))


@pytest.mark.parametrize('values, wrong', [([1, 2, 3], '0'), ([1., 2., 3.], '01'), ([-1, 0, 1], '2')])
def test_a_class_that_is_a_number_goes_by_that(values, wrong, tmp_path):
    x = np.random.default_rng(0).normal(size=90)
    pd.DataFrame(dict(x=x, k=values*30)).to_csv(tmp_path/'t.csv', index=False)
    gan_train(str(tmp_path/'t.csv'), label='k', steps=1, out=tmp_path/'r', **small)
    for v in values:
        gan_sample(tmp_path/'r', n=4, y=str(int(v)), out=tmp_path/'s.csv', force=True)
        assert [*pd.read_csv(tmp_path/'s.csv').k] == [v]*4
    names = ', '.join(str(int(v)) for v in values)
    assert line(lambda: gan_sample(tmp_path/'r', y=wrong, out=tmp_path/'x.csv')) == f'--y must be one of {names}, not {wrong}'


@pytest.mark.parametrize('suffix', ['csv', 'tsv', 'jsonl'])
def test_numbers_are_written_as_they_are(suffix, tmp_path):
    x = np.random.default_rng(0).normal(size=100)
    codes = [12345678901, 12345678902]
    frame = pd.DataFrame(dict(x=x*1e-12, y=1.69e9 + x, code=codes*50, fixed=1234567890.123456, of=[.1234567890123, .5]*50))
    frame.to_csv(tmp_path/'t.csv', index=False)
    out = tmp_path/f's.{suffix}'
    gan_train(str(tmp_path/'t.csv'), steps=2, out=tmp_path/'r', set=['data.kinds={"of": "category"}'], **small)
    gan_sample(tmp_path/'r', n=50, out=out)
    want = Run.open(tmp_path/'r').trainer.sample(50)
    if suffix == 'jsonl': back = pd.DataFrame([json.loads(o) for o in out.read_text().splitlines()])
    else: back = pd.read_csv(out, sep=',\t'[suffix == 'tsv'], dtype=str).astype(want.dtypes)   # older pandas round what they read
    pd.testing.assert_frame_equal(back, want, check_exact=True)
    assert {*back.code} <= {*codes} and {*back.fixed} == {1234567890.123456} and {*back.of} <= {.1234567890123, .5}


@pytest.mark.parametrize('unit, finest', [('D', 'day'), ('s', 'second'), ('ms', 'microsecond'), ('us', 'microsecond')])
def test_dates_keep_their_resolution(unit, finest, tmp_path):
    when = pd.Timestamp('2024-01-01') + pd.to_timedelta(np.random.default_rng(0).integers(1, 4000, 300), unit=unit)
    data = get_data(pd.DataFrame(dict(when=when, x=np.arange(300) % 7.)))
    assert data.columns[0].values == (finest,)
    back = data.items(data.x).when
    assert (back == back.dt.floor('us' if finest == 'microsecond' else unit)).all() and back.nunique() > 200
    assert abs(back - when).max() <= (pd.Timedelta('2us') if finest == 'microsecond' else pd.Timedelta(0))


constants = {
    'datetime64[us]': pd.Timestamp('2024-05-01 10:00'), 'Int64': 5, 'uint64': 2**63 + 1, 'int8': 3, 'float32': .1, 'string': 'a', 'boolean': True,
    'bool': False, 'category': 'a', 'Float64': .5}

@pytest.mark.parametrize('dtype', constants)
def test_a_constant_comes_back_in_its_own_type(dtype, tmp_path):
    frame = pd.DataFrame(dict(x=np.random.default_rng(0).normal(size=40), c=pd.Series([constants[dtype]]*40, dtype=dtype)))
    run = Run(experiment(frame, steps=1, batch_size=20, device='cpu')).fit(1, progress=False)
    run.save(tmp_path/'r')
    gan, data, _ = load_run(tmp_path/'r')
    for back in (run.trainer.sample(7), data.items(gan.sample(7)), run.trainer.sample(0)):
        assert back.c.dtype == frame.c.dtype and (back.c == frame.c[:len(back)]).all()


class Heights(Data):
    name, dim, shape = 'heights', 2, (2,)
    def _draw(self, n, generator): return torch.randn(n, 2, generator=generator)
    def scale(self, x): return (x - 170)/8
    def unscale(self, x): return x*8 + 170


class Rounded(Samples):
    def items(self, x, y=None): return super().items(x).round()


@pytest.mark.parametrize('data', [Heights(), Rounded(170 + torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))], ids=['data', 'samples'])
def test_a_folder_gives_no_samples_in_units_that_only_code_of_ones_own_knows(data, tmp_path):
    e = experiment(data, steps=4, batch_size=16, device='cpu', engine='eager', **{'generator.hidden': [8], 'discriminator.hidden': [8]})
    run = Run(e, data).fit(4, progress=False)
    run.save(tmp_path/'r')
    run.keep(tmp_path/'k', every=2).fit(2, progress=False)   # as if it was killed: checkpoints alone
    for folder in ('r', 'k'):
        assert 'give' in line(lambda: load_run(tmp_path/folder)) and 'give' in line(lambda: find_gan(tmp_path/folder))
    assert f'to the units of {data.name}' in line(lambda: load_run(tmp_path/'r'))
    assert f'to the units of {data.name}' in line(lambda: gan_sample(str(tmp_path/'r'))) and not (tmp_path/'r/samples.npy').exists()
    assert 'differs' in line(lambda: load_run(tmp_path/'r', ring()))
    gan, there, _ = load_run(tmp_path/'r', data)
    x = there.items(gan.generate(gan.draw(5, torch.Generator().manual_seed(0))[0]))
    assert torch.equal(x, Run.open(tmp_path/'r', data).trainer.sample(5)) and x.mean() > 100
    with pytest.warns(UserWarning, match='was not finished'): gan, there, _ = load_run(tmp_path/'k', data)
    assert torch.equal(there.items(gan.generate(gan.draw(5, torch.Generator().manual_seed(0))[0])), run.trainer.sample(5))


class Beta:
    name, dim = 'beta', 2
    def sample(self, n, generator=None, device=None): return torch.distributions.Beta(torch.ones(2), torch.ones(2)).sample((n,))


class Fuzzy(nn.Linear):
    def forward(self, z): return super().forward(z) + torch.randn(len(z), 2)


@pytest.mark.parametrize('noise, G', [(Beta(), None), (Noise('beta', 2, lambda n, dim, generator: Beta().sample(n)), None), (normal(2), Fuzzy(2, 2))],
                         ids=['prior', 'draw', 'G'])
def test_a_seed_says_what_is_drawn_from_the_global_generators(noise, G):
    gan = GAN(G or mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), noise)
    t = Trainer(gan, ring(), batch_size=16, engine='eager', device='cpu', ema=3.).fit(3, progress=False)
    for of in (None, gan):
        before = torch.get_rng_state()
        a = t.sample(9, of=of)
        assert torch.equal(torch.get_rng_state(), before)
        torch.randn(3)
        assert torch.equal(t.sample(9, of=of), a) and not torch.isin(t.sample(9, seed=1, of=of), a).any()
    if G: assert not torch.allclose(a, nn.Linear.forward(G, z := torch.randn(9, 2, generator=torch.Generator().manual_seed(0))) + z)


class Jittered(Dataset):
    def __len__(self): return 60
    def __getitem__(self, i): return torch.tensor([i, -i])/60 + .1*torch.randn(2)


@pytest.mark.parametrize('data', [Jittered(), DataLoader(Jittered(), batch_size=20, shuffle=True)], ids=['dataset', 'loader'])
def test_figures_beside_random_items_do_not_depend_on_what_ran_before(data):
    fakes, before = torch.randn(40, 2), torch.get_rng_state()
    said = metrics(fakes, data)
    assert torch.equal(torch.get_rng_state(), before)
    torch.randn(3)
    assert metrics(fakes, data) == said and 'sliced_wasserstein_real' in said


def small_trainer(data, n=2, **more):
    gan = GAN(mlp_generator(2, n, (8,), seed=0), mlp_discriminator(n, (8,), seed=1), normal(2))
    return Trainer(gan, data, device='cpu', **{'batch_size': 10, 'engine': 'eager', **more})


def test_workers_that_would_stay_draw_nothing_from_what_ran_before():
    loader = DataLoader(Jittered(), batch_size=10, shuffle=True, num_workers=2, persistent_workers=True)
    first, second, third = (small_trainer(loader).fit(n, progress=False) for n in (15, 15, 8))
    late = small_trainer(loader)
    late.load_state_dict(third.state_dict())   # in the middle of an epoch
    for t in (second, third.fit(7, progress=False), late.fit(7, progress=False)): assert (t.history['d_loss'] == first.history['d_loss']).all()


@pytest.mark.parametrize('read', [Stream, lambda data, **how: Loaded(DataLoader(data, batch_size=16), **how)], ids=['stream', 'loader'])
def test_numbers_in_float64_keep_their_digits(read, tmp_path):
    x = 1.7e9 + torch.randn(60, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data = read(TensorDataset(x), scale='standard')
    assert (data.unscale(data.scale(x)) - x).abs().max() < 1e-5
    run = Run(experiment(data, steps=1, batch_size=16, device='cpu'), data).fit(1, progress=False)
    run.save(tmp_path/'r')
    gan, back, _ = load_run(tmp_path/'r')
    for o in (run.trainer.sample(50), back.items(gan.sample(50))): assert len(o[:, 0].unique()) == 50 and o.dtype == torch.float64


class Endless(IterableDataset):
    def __init__(self, n): self.n = n
    def __iter__(self): return (torch.tensor([i, -i])/self.n for i in range(self.n))


def test_datasets_whose_length_is_that_of_parts_without_one_are_read():
    data = torch.utils.data.ChainDataset([Endless(30), Endless(20)])
    for given in (data, Stream(data), DataLoader(data, batch_size=10)): assert small_trainer(given).fit(7, progress=False).iteration == 7
    assert 'no end that is known' in line(lambda: small_trainer(data).fit(epochs=1))


def test_pictures_go_around_a_short_iterable_dataset(tmp_path):
    run = Run(experiment(data := get_data(Endless(60)), steps=1, batch_size=16, device='cpu'), data).fit(1, progress=False)
    plot_fakes(run.trainer.sample(500), data)
    assert (run.save(tmp_path/'r')/'samples.png').exists()


def test_a_label_of_whole_numbers_is_no_axis():
    x = np.random.default_rng(0).normal(size=(2, 90))
    for frame in (pd.DataFrame(dict(k=[1, 2, 3]*30, a=x[0], b=x[1])), pd.DataFrame(dict(k=[1, 2, 3]*30, c=['u', 'v']*45))):
        t = experiment(get_data(frame, label='k'), device='cpu', engine='eager', batch_size=20).trainer()
        assert plot_fakes(t.sample(30), t.data).get_xlabel() == frame.columns[1]
    assert 'fake and real have no column in common' in line(lambda: plot_samples(frame[['k']], frame[['c']]))


def test_figures_take_what_get_data_takes_and_say_when_there_are_none():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=['a', 'b'])
    assert 'distance_a' in metrics(frame[:100], frame)
    for data in (frame.to_numpy(), torch.tensor(frame.to_numpy())): assert 'sliced_wasserstein' in metrics(frame[:100].to_numpy(), data)
    assert 'get_data' not in line(lambda: metrics(frame, 3)) and 'has no labels' in line(lambda: obeyed(frame, 0, frame))
    with pytest.warns(UserWarning, match='no figures beside real items: they need 10 samples and 20 real items, and there are 5 and 200'):
        assert metrics(frame[:5], get_data(frame)) == dict(n=5)


def test_a_command_speaks_of_its_own_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=90)
    pd.DataFrame(dict(x=x, y=-x**2, lab=[1, 2, 3]*30)).to_csv('lab.csv', index=False)
    def said(**options): return line(lambda: gan_train('lab.csv', **small, **options))
    there = '--columns, --drop, --label, --missing, --sep, --decimal, --encoding, data.kinds, data.date_format, data.scale, data.header, data.memory'
    assert said(size=8) == f'--size is no option of this data: it has {there}'
    assert said(kind='series') == f'--kind is no option of this data: it has {there}'
    assert said(skip_bad=True) == f'--skip-bad is no option of this data: it has {there}'
    assert said(set=['data.k=1'], k=2) == f'data.k is no option of this data: it has {there}'
    assert said(label='lab', classes=2) == '--classes is 2, but lab has 3'
    assert said(label='x').endswith('names, not categories: --label must name a column of classes')
    assert line(lambda: gan_train('digits', size=8)).startswith('--size is no option of this data: it has none')


def test_a_file_may_end_in_capitals_and_an_error_names_what_was_asked_for(tmp_path, capsys):
    np.save(tmp_path/'t.npy', np.random.default_rng(0).normal(size=(90, 2)))
    gan_train(str(tmp_path/'t.npy'), steps=1, out=tmp_path/'r', **small)
    for name in ('a.CSV', 'a.NPY', 'a.PNG'): gan_sample(tmp_path/'r', n=30, out=tmp_path/name)
    assert np.load(tmp_path/'a.NPY').shape == (30, 2) and pd.read_csv(tmp_path/'a.CSV', header=None).shape == (30, 2)
    assert {p.name for p in tmp_path.iterdir()} == {'t.npy', 'r', 'a.CSV', 'a.NPY', 'a.PNG'}
    table(tmp_path/'t.csv')
    gan_train(str(tmp_path/'t.csv'), steps=1, out=tmp_path/'q', **small)
    gan_sample(tmp_path/'q', n=30, out=tmp_path/'a.XLSX')
    assert pd.read_excel(tmp_path/'a.XLSX').shape == (30, 2)
    if Path('/proc').exists():
        assert line(lambda: gan_sample(tmp_path/'r', n=3, out='/proc/x.csv')).startswith('--out /proc/x.csv cannot be written: ')


def test_samples_are_written_to_a_file_and_a_path_that_ends_in_a_slash_is_none(tmp_path):
    np.save(tmp_path/'t.npy', np.random.default_rng(0).normal(size=(90, 2)))
    gan_train(str(tmp_path/'t.npy'), steps=1, out=tmp_path/'r', **small)
    (tmp_path/'there.csv').mkdir()
    there = tree(tmp_path)
    for out in ('new.csv/', 'there.csv', 'there.csv/', 'new/'):
        for force in (False, True):
            said = line(lambda: gan_sample(tmp_path/'r', n=3, out=f'{tmp_path}/{out}', force=force))
            assert said == f'--out {tmp_path}/{out.rstrip("/")}/ is a folder: it must name a file'
    assert tree(tmp_path) == there


def test_of_classes_that_read_alike_the_one_that_is_named_is_sampled(tmp_path, capsys):
    pd.DataFrame(dict(a=np.random.default_rng(0).normal(size=90), version=['v1', 'v1.0', 'v2']*30)).to_csv(tmp_path/'t.csv', index=False)
    gan_train(str(tmp_path/'t.csv'), label='version', steps=1, out=tmp_path/'r', **small)
    for y in ('v1', 'v1.0', 'v2'):
        gan_sample(tmp_path/'r', n=3, y=y, out=tmp_path/'x.csv', force=True)
        assert {*pd.read_csv(tmp_path/'x.csv').version} == {y}
    for y in ('v3', '²'): assert line(lambda: gan_sample(tmp_path/'r', n=3, y=y, out=tmp_path/'y.csv')).startswith('--y must be one of 0 (v1), 1 (v1.0), 2 (v2), not ')
    assert line(lambda: gan_eval(tmp_path/'r', data='t.csv', data_dir='.')) == 'give --data or --data-dir, not both'


def test_one_is_no_plural(tmp_path, capsys):
    (tmp_path/'t.csv').write_text('x\n' + ''.join(f'{i}.5\n' for i in range(30)))
    np.save(tmp_path/'t.npy', np.random.default_rng(0).normal(size=(30, 2)))
    for of in ('t.npy', 't.csv'): gan_train(str(tmp_path/of), steps=1, out=tmp_path/'r'/of, **small)
    for of, n in (('t.npy', 1), ('t.npy', 2), ('t.csv', 1), ('t.csv', 2)): gan_sample(tmp_path/'r'/of, n=n, out=tmp_path/'x.csv', force=True)
    said = capsys.readouterr().out
    assert said.count('1 iteration on cpu, ') == said.count('Too early to say: 1 iteration\n') == 2
    for what in ('1 sample of shape 2', '2 samples of shape 2', '1 row of 1 column', '2 rows of 1 column'): assert f'{what} in {tmp_path}/x.csv\n' in said
    assert 'items of 1 number, but' in line(lambda: Trainer(GAN(mlp_generator(2, 1), mlp_discriminator(1), normal(2)), ring()))
    assert 'x never varies: there is one row' in line(lambda: Samples(torch.ones(1, 2)))
    assert '1 item of shape 2' in repr(Stream(TensorDataset(torch.ones(1, 2))))


# ---- what is promised of rows

class Late(Dataset):
    "Items of which only those that no first look sees go beyond [0, 1]"
    def __len__(self): return 1000
    def __getitem__(self, i): return torch.tensor([5. if i == 3 else .5, .1*(i % 7)])


def test_a_bounded_stream_stays_bounded():
    data = Stream(Late(), scale='unit')
    assert data.bounded and 'first items go from 0 to 1, but item 3 from 0.3 to 5' in line(lambda: data.sample(4000, torch.Generator().manual_seed(0)))
    inner = Stream(torch.linspace(0, 1, 60).reshape(30, 2), scale='unit')
    assert inner.bounded and inner.sample(200).max() <= 1


def test_as_many_rows_as_are_asked_for():
    x, y = torch.arange(20.)[:, None], torch.arange(20) % 2
    given = Loaded(DataLoader(TensorDataset(x, y), batch_size=6, shuffle=True), classes=2)
    assert [len(given.sample(n)) for n in (0, 7, 20, 100)] == [0, 7, 20, 100] and len(given.first(100)) == 20
    assert sorted(given.sample(20)[:, 0].tolist()) == x[:, 0].tolist() and len({*given.sample(100)[:, 0].tolist()}) == 20
    assert given.labelled.sample(0).shape == Stream(TensorDataset(x, y), classes=2).labelled.sample(0).shape == (0, 2)
    class Once(IterableDataset):   # of a loader that comes to its end for good
        left = [0., 1., 2., 3., 4., 5.]
        def __iter__(self): return (torch.tensor([self.left.pop()]) for _ in range(len(self.left)))
    assert 'the DataLoader has 4 items, fewer than n=9' in line(lambda: Loaded(DataLoader(Once(), batch_size=2)).sample(9))


class TwoFiles(IterableDataset):
    "One for each worker: 0 to 5, and 6 to 31"
    def __iter__(self):
        n = torch.utils.data.get_worker_info().id
        return (torch.tensor([float(i)]) for i in (range(6), range(6, 32))[n])


def test_smaller_minibatches_are_left_out_wherever_they_come():
    sizes = [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9], [10, 11, 12]]
    for loader, m, want in ((DataLoader(TwoFiles(), batch_size=4, num_workers=2), 4, [0, 6, 10, 14, 18, 22, 26, 0]),
                            (DataLoader(torch.arange(13.)[:, None], batch_sampler=sizes), 3, [0, 5, 10, 0, 5])):
        given = Loaded(loader, scale=None)
        source = given.source(m)
        got, states = [], []
        for _ in want:
            states.append(source.state_dict())
            got.append(source.next())
        assert [o[0].item() for o in got] == want and all(len(o) == m for o in got)
        again = given.source(m)
        again.load_state_dict(states[2])   # after a smaller one
        assert all(torch.equal(again.next(), o) for o in got[2:4])


def test_minibatches_that_are_larger_or_of_other_items_are_refused():
    def sized(*sizes): return DataLoader(torch.rand(9, 2), batch_sampler=[[*range(n)] for n in sizes])
    source = Loaded(sized(2, 3)).source(2)
    source.next()
    for _ in range(2):   # as often as it is asked for
        with pytest.raises(ValueError, match='first minibatch of the DataLoader has 2 items, but a later one 3'): source.next()
    class Fewer(list):   # from the second time on
        def __iter__(self):
            yield from [[0, 1], [2]][bool(self.append(0) or len(self) > 1):]
    with pytest.raises(ValueError, match='gives no minibatch of 2 in a whole epoch'):
        Loaded(DataLoader(torch.rand(9, 2), batch_sampler=Fewer())).source(2).next()
    for other in (torch.rand(3, 4), torch.rand(2, 5)):
        given = Loaded(DataLoader([torch.rand(2, 6)]*2 + [other]*2, batch_size=2))
        source = given.source(2)
        source.next()
        for f in (source.next, lambda: given.sample(4)):
            with pytest.raises(ValueError, match=r'items differ in shape: \(2, 6\) and \(\d, \d\)'): f()
    with pytest.raises(ValueError, match='loader must be a DataLoader, not'): Loaded([1, 2])
    with pytest.raises(ValueError, match='a minibatch must be items'): Loaded(DataLoader(torch.rand(4, 2), collate_fn=lambda o: torch.tensor(1.)))


@pytest.mark.parametrize('make', [lambda x, **how: Samples(x, **how), lambda x, **how: Stream(x, **how)])
def test_shapes_that_are_none_are_refused(make):
    x = torch.rand(10, 4)
    assert 'shape must be as many numbers as an item has axes, as (4,), not 4' in line(lambda: make(x, shape=4))
    for shape in ((-2, -2), (2., 2.), (True, 4)): assert 'each number in shape must be a whole number' in line(lambda: make(x, shape=shape))
    assert make(x, shape=[2, 2]).shape == (2, 2)


@pytest.mark.parametrize('make', [Samples, Stream, lambda x, scale: Loaded(DataLoader(x, batch_size=5), scale)])
@pytest.mark.parametrize('items', [torch.rand(10, 4), torch.rand(10, 4, 4)], ids=['rows', 'images'])
def test_shift_and_factor_may_be_an_array(make, items):
    a, b = (make(items, scale=o) for o in (np.array([.25, 2.]), (.25, 2.)))
    assert str(a.scaling) == str(b.scaling) and a.span == b.span


def test_the_order_of_bytes_changes_nothing(tmp_path):
    x = np.random.default_rng(0).integers(19, 65_304, (10, 6, 6)).astype('>u2')
    np.save(tmp_path/'x.npy', x)
    for o in (Samples(x), get_data(tmp_path/'x.npy'), Stream([*x]), Samples(x.astype('u2'))): assert o.span == (0, 65_535)


def test_an_image_has_no_size_true(tmp_path):
    assert 'size must be 1 to 4096 whole pixels, or (height, width), not True' in line(lambda: images(pictures(tmp_path/'a'), size=True))


@pytest.mark.parametrize('out', ['c', 'c/runs/one'])
def test_a_run_does_not_put_its_pictures_among_the_data(tmp_path, out):
    here = pictures(tmp_path/'c')
    before = tree(here)
    said = line(lambda: gan_train(str(here), steps=1, out=tmp_path/out, **small))
    assert 'the folder of the data' in said and tree(here) == before and sorted(tmp_path.iterdir()) == [here]


def test_data_that_are_not_there_are_called_so(ring_run, tmp_path):
    np.save(tmp_path/'s.npy', np.random.default_rng(0).normal(size=(60, 12)))
    gan_train(str(tmp_path/'s.npy'), kind='series', steps=1, out=tmp_path/'series', **small)
    for run in (ring_run, tmp_path/'series'):
        assert 'nowhere: no such file or folder' in line(lambda: gan_eval(run, data='nowhere'), FileNotFoundError)


def _noisy(d): d.x += .01*torch.randn(d.x.shape, generator=torch.Generator().manual_seed(0))
def _one_class(d): d.x, d.labels = d.x[d.labels == 3], d.labels[d.labels == 3]
def _other_units(d): d.scaling.shift.add_(1)

_tiny = {'device': 'cpu', 'batch_size': 16, 'steps': 2, 'generator.hidden': [8], 'discriminator.hidden': [8]}

@pytest.mark.parametrize('alter', [_noisy, _one_class, _other_units])
@pytest.mark.parametrize('copied', [lambda d: d, deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_data_changed_in_place_are_ones_own(tmp_path, alter, copied):
    d = digits()
    e = experiment(copied(d), **_tiny)
    assert not e.is_own('data')
    alter(d)
    e = experiment(copied(d), **_tiny)
    assert e.is_own('data')
    run = Run(e).fit(2, progress=False)
    run.save(tmp_path, measured={})
    opened = Run.open(tmp_path)
    for other in (opened, Run.repeat(tmp_path)):
        assert torch.equal(other.trainer.data.x, d.x)
        assert all(map(torch.equal, other.trainer.gan.parameters(), run.trainer.gan.parameters()))


def test_data_changed_after_they_were_described_are_refused(tmp_path):
    d = ring()
    e = experiment(d, device='cpu')
    d.means.mul_(3)
    assert experiment(d).is_own('data') and Experiment.of(Trainer(ring_trainer().gan, d, device='cpu')).is_own('data')
    with pytest.raises(ValueError, match='ring has changed since it was described: describe it once more'): e.trainer()
    d = digits()
    d.x = d.x[d.labels == 3]
    with pytest.raises(ValueError, match='labels must be 183, one for each row'): Run(experiment(d, **_tiny)).keep(tmp_path/'r').fit(1, progress=False)
    assert not (tmp_path/'r/config.json').exists()
