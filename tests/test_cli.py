"The commands as a person runs them: separate processes, output, exit status, files left behind."
import csv
import inspect
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import bin_, run
from gan_nbdev.cli import gan_train

mnist_dir = os.environ.get('MNIST_DIR')


@pytest.fixture(scope='module')
def ring_run(tmp_path_factory):
    d = tmp_path_factory.mktemp('cli')
    r = run('gan-train', '--steps', 60, '--device', 'cpu', cwd=d)
    assert r.returncode == 0, r.stderr
    return d, r


def test_default_run(ring_run):
    d, r = ring_run
    assert 'ring' in r.stdout and 'runs/ring/samples.png' in r.stdout and 'it/s' in r.stderr
    config = json.loads((d/'runs/ring/config.json').read_text())
    assert config['experiment']['steps'] == 60 and config['experiment']['seed'] == 0
    assert config['story'] == [{'fit': 60}] and config['left'] == []
    assert config['versions']['torch']
    metrics = json.loads((d/'runs/ring/metrics.json').read_text())
    assert metrics['modes_total'] == 8 and metrics['iterations'] == 60
    assert 0 <= metrics['high_quality'] <= 1
    with open(d/'runs/ring/history.csv') as f: rows = list(csv.DictReader(f))
    assert len(rows) == 60
    assert {'iteration', 'd_loss', 'g_loss', 'value', 'd_real', 'd_fake'} == set(rows[0])
    for name in ('samples', 'losses', 'value'):
        assert Image.open(d/f'runs/ring/{name}.png').size[0] > 300
    assert not [p for p in (d/'runs/ring').iterdir() if p.name.startswith('.')]


def test_same_seed_same_run_bit_for_bit(ring_run):
    d, _ = ring_run
    train_to = 'gan-train', '--steps', 60, '--device', 'cpu', '--out'
    assert run(*train_to, 'again', cwd=d).returncode == 0
    for name in ('weights.safetensors', 'history.csv'):
        assert (d/'again'/name).read_bytes() == (d/'runs/ring'/name).read_bytes(), name
    assert run(*train_to, 'other', '--seed', 1, cwd=d).returncode == 0
    assert (d/'other/history.csv').read_bytes() != (d/'again/history.csv').read_bytes()


def test_refuses_to_overwrite_and_forces(ring_run):
    d, _ = ring_run
    assert run('gan-train', '--steps', 5, '--out', 'twice', cwd=d).returncode == 0
    (d/'twice/notes.txt').write_text('mine')
    r = run('gan-train', '--steps', 7, '--out', 'twice', cwd=d)
    assert r.returncode == 2 and 'already holds a run' in r.stderr and '--force' in r.stderr
    assert json.loads((d/'twice/metrics.json').read_text())['iterations'] == 5
    assert run('gan-train', '--steps', 7, '--out', 'twice', '--force', cwd=d).returncode == 0
    assert json.loads((d/'twice/metrics.json').read_text())['iterations'] == 7
    assert (d/'twice/notes.txt').read_text() == 'mine'


@pytest.mark.parametrize('args, why', [
    ('gan-train --lr .1 --set d_rule.lr=.5 --out odd', 'give --lr, which sets both rates, or --set d_rule.lr=0.5, not both'),
    ('gan-train --k 2 --set k=3 --out odd', 'k is given twice, as 2 and as 3'),
    ('gan-train --set k=2 k=3 --out odd', 'k is given twice, as 2 and as 3'),
    ('gan-train --noise_dim 3 --set noise.dim=4 --out odd', 'noise.dim is given twice, as 3 and as 4'),
    ('gan-eval runs/ring --data_dir .', '--data-dir is no option of this data'),
    ('gan-train --resume --out runs/ring --steps 999 --data_dir .', '--data-dir is no option of this data')])
def test_what_says_two_things_or_belongs_to_other_data_is_refused(ring_run, args, why):
    d, _ = ring_run
    r = run(*args.split(), cwd=d)
    assert r.returncode == 2 and r.stderr.startswith(f'{args.split()[0]}: error: {why}') and r.stderr.count('\n') == 1
    assert not (d/'odd').exists()


def test_the_same_command_resumes_a_game_that_brought_its_settings(tmp_path):
    def train(**more): gan_train('ring', **{'steps': 4, 'game': 'wgan-gp', 'device': 'cpu', 'out': tmp_path/'r', 'quiet': True, **more})
    train(); train(resume=True)
    for more in ('{"name":"wgan-gp"}', '{"name":"wgan-gp","weight":0.1}'): train(game=None, set=[f'game={more}'], resume=True)
    with pytest.raises(ValueError, match='--game hinge differs from the wgan-gp of the run'): train(resume=True, game='hinge')


def test_sample_and_eval(ring_run):
    d, _ = ring_run
    assert run('gan-sample', 'runs/ring', '--n', 100, '--out', 'x.npy', cwd=d).returncode == 0
    assert np.load(d/'x.npy').shape == (100, 2)
    assert run('gan-sample', 'runs/ring', '--out', 'x.csv', cwd=d).returncode == 0
    assert np.loadtxt(d/'x.csv', delimiter=',').shape == (2500, 2)
    assert run('gan-sample', 'runs/ring', '--out', 'x.png', cwd=d).returncode == 0
    assert Image.open(d/'x.png').size[0] > 300
    r = run('gan-eval', 'runs/ring', '--json', cwd=d)
    measured, written = json.loads(r.stdout), json.loads((d/'runs/ring/metrics.json').read_text())
    keys = 'modes', 'modes_total', 'high_quality'
    assert {k: written[k] for k in keys} == {k: measured[k] for k in keys}
    assert 'high_quality' in run('gan-eval', 'runs/ring', cwd=d).stdout


def test_a_csv_and_a_folder_of_images(tmp_path):
    rng = np.random.default_rng(0)
    table = rng.normal([100, -3, 0.01], [10, 1, 0.001], (300, 3))
    np.savetxt(tmp_path/'table.csv', table, delimiter=',')
    (tmp_path/'pics').mkdir()
    for i in range(120):
        pixels = rng.integers(0, 255, (6, 5), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path/f'pics/{i}.png')
    np.save(tmp_path/'my.npy', rng.normal(size=(300, 4)))
    for data, shape in (('table.csv', (3,)), ('pics', (6, 5)), ('my.npy', (4,))):
        r = run('gan-train', data, '--steps', 5, '--quiet', cwd=tmp_path)
        assert r.returncode == 0, r.stderr
        name = Path(data).stem
        r = run('gan-sample', f'runs/{name}', '--n', 7, '--out', f'{name}-x.npy', cwd=tmp_path)
        assert r.returncode == 0
        assert np.load(tmp_path/f'{name}-x.npy').shape == (7, *shape)
    assert abs(np.load(tmp_path/'table-x.npy')[:, 0].mean() - 100) < 30   # the table's own units
    assert np.load(tmp_path/'pics-x.npy').max() > 1                       # pixels from 0 to 255


@pytest.mark.skipif(not mnist_dir, reason='MNIST_DIR names no folder')
def test_mnist_from_the_folder_given_or_named(tmp_path):
    train_to = 'gan-train', 'mnist', '--steps', 2, '--batch_size', 10, '--quiet', '--out'
    r = run(*train_to, 'a', cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    r = run(*train_to, 'b', '--data_dir', mnist_dir, cwd=tmp_path, MNIST_DIR='')
    assert r.returncode == 0, r.stderr
    a, b = ((tmp_path/o/'weights.safetensors').read_bytes() for o in 'ab')
    assert a == b
    r = run('gan-eval', 'b', '--n', 300, '--json', cwd=tmp_path, MNIST_DIR='')
    assert r.returncode == 0, r.stderr
    measured = json.loads(r.stdout)
    assert measured['n'] == 300 and measured['parzen'] < measured['parzen_real']


bad = {
    'unknown dataset': (['rong'], 'ring'), 'unknown recipe': (['ring', '--recipe', 'x'], 'points'),
    'unknown game': (['ring', '--game', 'x'], 'minimax'), 'k': (['ring', '--k', '0'], 'k must'),
    'batch': (['ring', '--batch_size', '0'], 'at least 1'),
    'lr': (['ring', '--lr', '0'], 'lr must'), 'lr nan': (['ring', '--lr', 'nan'], 'lr must'),
    'steps': (['ring', '--steps', '-1'], 'steps must'),
    'seed': (['ring', '--seed', '-1'], 'seed must'),
    'device': (['ring', '--device', 'cuda:77'], 'cuda:77'),
    'device type': (['ring', '--device', 'quantum'], 'quantum'),
    'missing file': (['nowhere.csv'], 'nowhere.csv'), 'empty': (['empty.csv'], 'is empty'),
    'text': (['text.csv'], 'abc'), 'nan': (['nan.csv'], 'missing'),
    'constant': (['constant.csv'], 'no column varies'), 'no images': (['nothing'], 'nothing'),
    'unreadable out': (['ring', '--out', 'few.csv/run'], 'few.csv'),
    'truncated idx': (['mnist', '--data_dir', 'broken'], 'train-images'),
    'not an int': (['ring', '--k', 'two'], 'two'),
    'unknown option': (['ring', '--kk', '2'], '--kk'),
    'nothing named': ([''], 'an argument is empty'), 'nothing named after': (['--config', ''], 'an argument is empty, at --config'),
    'nothing named here': (['--data-dir='], 'an argument is empty, at --data-dir='),
    'threads': (['ring', '--threads', '99999'], 'at most 1024, not 99999'),
}


@pytest.fixture(scope='module')
def bad_files(tmp_path_factory):
    d = tmp_path_factory.mktemp('bad')
    texts = dict(empty='', text='1,2\n3,abc\n4,5\n6,7\n', nan='1,2\n3,nan\n', few='1,2\n3,4\n5,6\n',
                 constant='1,2\n'*400)
    for name, text in texts.items(): (d/f'{name}.csv').write_text(text)
    (d/'nothing').mkdir()
    (d/'broken').mkdir()
    header = b'\0\0\x08\x03' + (60000).to_bytes(4, 'big') + (28).to_bytes(4, 'big')*2
    (d/'broken/train-images-idx3-ubyte').write_bytes(header + b'\0'*100)
    return d


@pytest.mark.parametrize('case', bad)
def test_bad_input_is_one_line_and_status_2(case, bad_files, monkeypatch, capsys):
    "The console script itself, run inside this process, which has torch loaded already"
    args, names = bad[case]
    before = sorted(bad_files.rglob('*'))
    monkeypatch.chdir(bad_files)
    monkeypatch.setattr(sys, 'argv', ['gan-train', *args])
    monkeypatch.setattr(warnings, 'formatwarning', warnings.formatwarning)
    sys.modules.pop('gan_nbdev.cli', None)
    with pytest.raises(SystemExit) as e: runpy.run_path(str(bin_/'gan-train'), run_name='__main__')
    err = capsys.readouterr().err
    assert e.value.code == 2 and names in err and 'Traceback' not in err, err
    if case not in ('not an int', 'unknown option'):
        assert err.startswith('gan-train: error: ') and err.count('\n') == 1, err
    assert sorted(bad_files.rglob('*')) == before


def test_bad_input_in_a_process_of_its_own(tmp_path):
    r = run('gan-train', 'ring', '--k', 0, cwd=tmp_path)
    assert r.returncode == 2 and r.stderr.count('\n') == 1
    assert r.stderr.startswith('gan-train: error: k must')


@pytest.mark.skipif(not Path('/proc/self').exists(),
                    reason='no /proc, which not even root may write to')
def test_folder_that_cannot_be_written(tmp_path):
    r = run('gan-train', 'ring', '--steps', 5, '--out', '/proc/run', cwd=tmp_path)
    assert r.returncode == 2 and '/proc/run cannot be written' in r.stderr
    assert not list(tmp_path.iterdir())


def test_constant_column_among_others_is_said_and_trains(tmp_path):
    table = np.c_[np.random.default_rng(0).normal(size=300), np.full(300, 7.)]
    np.savetxt(tmp_path/'c.csv', table, delimiter=',')
    r = run('gan-train', 'c.csv', '--steps', 3, '--quiet', cwd=tmp_path)
    assert r.returncode == 0 and 'constant' in r.stdout and not r.stderr, r.stderr


def begin(cwd, *args):
    "gan-train in a process of its own, without end"
    return subprocess.Popen([bin_/'gan-train', 'ring', '--steps', '1000000', '--device', 'cpu',
                             '--engine', 'eager', '--checkpoint_every', '20', *args],
                            cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'})


def trained(p, run):
    "Wait until the process has made 20 iterations"
    def saved(): return [o for o in (run/'checkpoints').glob('checkpoint-*') if int(o.stem[-10:]) >= 20]
    while p.poll() is None and not saved(): time.sleep(.01)
    assert p.poll() is None, p.communicate()


def test_ctrl_c_keeps_what_was_trained(tmp_path):
    p = begin(tmp_path)
    assert 'ring' in p.stdout.readline() and 'iterations' in p.stdout.readline()
    trained(p, tmp_path/'runs/ring')
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and 'interrupted at iteration' in out and 'Traceback' not in err
    metrics = json.loads((tmp_path/'runs/ring/metrics.json').read_text())
    assert metrics['iterations'] > 10 and metrics['stopped'] == 'interrupted'
    lines = (tmp_path/'runs/ring/history.csv').read_text().splitlines()
    assert len(lines) == metrics['iterations'] + 1


@pytest.mark.parametrize('lr, left', [('1e8', ['t', 't/checkpoints', 't/checkpoints/checkpoint-0000000000.safetensors']), ('1e30', None)])
def test_divergence_is_one_line_and_leaves_its_checkpoints_alone(tmp_path, lr, left):
    "Of its first iteration nothing is left"
    np.savetxt(tmp_path/'t.csv', np.random.default_rng(0).normal(size=(300, 2)), delimiter=',')
    r = run('gan-train', 't.csv', '--steps', 2000, '--lr', lr, '--quiet', cwd=tmp_path)
    assert r.returncode == 1 and r.stderr.count('\n') == 1
    assert re.search('NaN or infinite at iteration ' + (r'(?!1:)\d' if left else '1:'), r.stderr), r.stderr
    assert sorted(str(p.relative_to(tmp_path/'runs')) for p in tmp_path.glob('runs/**/*')) == (left or [])
    assert (tmp_path/'runs').exists() == bool(left)


@pytest.mark.skipif(os.name == 'nt', reason='needs a pseudo-terminal')
def test_a_terminal_is_told_at_once_that_something_goes_on(tmp_path):
    "What is printed next is printed over it"
    import pty
    ours, theirs = pty.openpty()
    with subprocess.Popen([bin_/'gan-train', 'ring', '--steps', '2', '--device', 'cpu'], cwd=tmp_path, stdout=theirs, stderr=theirs,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'}) as p:
        os.close(theirs)
        said = ''
        try:
            while more := os.read(ours, 10_000): said += more.decode(errors='replace')
        except OSError: pass   # the other end is closed
    assert p.returncode == 0 and said.startswith('loading PyTorch …\rring: 8 Gaussians') and said.endswith('\033[K')


def test_help_is_complete_and_loads_nothing_heavy(tmp_path):
    "What makes it answer at once; benchmarks are for the time itself"
    r = run('gan-train', '--help', cwd=tmp_path)
    assert r.returncode == 0
    for o in ('steps seed out force resume config checkpoint-every device k k-g batch-size lr recipe '
              'data-dir engine precision game noise-dim g-hidden d-hidden set size').split():
        assert f'--{o}' in r.stdout
    page = (Path(__file__).parent.parent/'nbs/11_cli.ipynb').read_text()   # whose output shows it
    assert {*re.findall(r'--[a-z-]+', r.stdout)} == {*re.findall(r'--[a-z-]+', page[page.index('$ gan-train --help'):page.index('show this help')])} | {'--help'}
    code = 'import sys, gan_nbdev.cli; sys.exit(bool({"torch", "numpy"} & sys.modules.keys()))'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0



@pytest.mark.parametrize('encoding', ['ascii', 'cp1252', 'utf-8'])
def test_help_in_any_encoding(encoding, tmp_path):
    for command in ('gan-train', 'gan-sample', 'gan-eval', 'gan-study'):
        r = subprocess.run([bin_/command, '--help'], capture_output=True, cwd=tmp_path,
                           env={**os.environ, 'PYTHONIOENCODING': encoding})
        assert r.returncode == 0 and not r.stderr and r.stdout.decode(encoding).startswith(f'usage: {command} ')
    r = subprocess.run([sys.executable, '-m', 'gan_nbdev', '--help'], capture_output=True, cwd=tmp_path,
                       env={**os.environ, 'PYTHONIOENCODING': encoding})
    assert r.returncode == 0 and not r.stderr


@pytest.mark.skipif(os.name == 'nt', reason='needs a POSIX shell')
@pytest.mark.parametrize('to, more', [('', {'PYTHONIOENCODING': 'ascii'}), ('>&- 2>&-', {}), ('2>&1 | true', {}),
                                      ('', {'LC_ALL': 'POSIX', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'})])
def test_no_run_is_lost_to_what_is_printed(to, more, tmp_path):
    "An encoding without the signs, closed streams, a reader that has gone"
    rows = np.random.default_rng(0).integers(0, 256, (60, 4, 4)).astype('uint8')
    np.save(tmp_path/'größe.npy', rows)
    train = f'"{bin_}/gan-train" gr*.npy --steps 30 --batch-size 20 --device cpu --engine eager --out run'
    r = subprocess.run(['bash', '-c', f'set -o pipefail; {train} {to}'], cwd=tmp_path, capture_output=True,
                       env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1', **more})
    assert r.returncode == 0, r.stderr
    assert json.loads((tmp_path/'run/metrics.json').read_text())['iterations'] == 30
    if more: assert b'60 samples of shape 4?4' in r.stdout and b'Traceback' not in r.stderr


def test_no_iterations_at_all(tmp_path):
    r = run('gan-train', '--steps', 0, '--quiet', cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    assert json.loads((tmp_path/'runs/ring/metrics.json').read_text())['iterations'] == 0
    assert run('gan-eval', 'runs/ring', cwd=tmp_path).returncode == 0


def test_an_impatient_second_ctrl_c_does_not_lose_the_run(tmp_path):
    p = begin(tmp_path, '--quiet')
    trained(p, tmp_path/'runs/ring')
    p.send_signal(signal.SIGINT)
    for pause in (0.01, 0.3):
        time.sleep(pause)
        p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 130, err
    assert json.loads((tmp_path/'runs/ring/metrics.json').read_text())['stopped'] == 'interrupted'


def test_two_at_once_and_a_killed_one(tmp_path):
    "The second is told who writes; the killed one can be sampled, measured, and gone on with"
    both = [begin(tmp_path, '--quiet') for _ in range(2)]
    while all(p.poll() is None for p in both): time.sleep(.01)
    late, first = sorted(both, key=lambda p: p.poll() is None)
    out, err = late.communicate()
    assert (late.returncode, out, err.count('\n')) == (2, '', 1)
    assert f'runs/ring is being written by process {first.pid} on ' in err and ', since 2' in err
    trained(first, tmp_path/'runs/ring')
    r = run('gan-sample', 'runs/ring', '--n', 9, '--out', 'x.npy', cwd=tmp_path)   # a reader needs no lock
    assert r.returncode == 0 and np.load(tmp_path/'x.npy').shape == (9, 2)
    first.kill()
    first.communicate()
    assert (tmp_path/'runs/ring/.lock').exists() and not (tmp_path/'runs/ring/config.json').exists()
    r = run('gan-sample', 'runs/ring', '--n', 9, '--out', 'y.npy', cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    said = re.fullmatch('gan-sample: warning: runs/ring was not finished: '
                        'this is iteration ([0-9,]+) of 1,000,000\n', r.stderr)
    assert said, r.stderr
    r = run('gan-eval', 'runs/ring', '--json', cwd=tmp_path)
    assert r.returncode == 0 and json.loads(r.stdout)['modes_total'] == 8
    assert 'was not finished' in r.stderr
    n = int(said[1].replace(',', '')) + 10
    r = run('gan-train', '--resume', '--out', 'runs/ring', '--steps', n, '--quiet', cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    assert json.loads((tmp_path/'runs/ring/metrics.json').read_text())['iterations'] == n
    assert not (tmp_path/'runs/ring/.lock').exists()


def test_pictures_that_could_not_be_drawn_are_not_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('gan_nbdev.plots.plot_losses', lambda *_: 1/0)
    with pytest.warns(UserWarning, match='losses.png is not written'): gan_train('ring', steps=1, out=tmp_path/'r', device='cpu', quiet=True)
    assert capsys.readouterr().out.endswith(f'pictures: {tmp_path}/r/samples.png, {tmp_path}/r/value.png\n')


@pytest.mark.parametrize('engine', ['auto', 'eager'])
def test_out_of_memory_says_nothing_of_the_gan_and_leaves_nothing(tmp_path, engine):
    "Neither engine can be to blame"
    r = run('gan-train', 'ring', '--steps', '2', '--batch-size', '100000000000', '--device', 'cpu', '--engine', engine, cwd=tmp_path)
    assert r.returncode and 'program' not in r.stderr and 'eager' not in r.stderr, r.stderr
    assert r.stderr.strip().splitlines()[-1] == 'gan-train: error: out of memory: try a smaller --batch_size', r.stderr
    assert not [*tmp_path.iterdir()]


def test_a_class_goes_by_the_name_that_is_printed(tmp_path):
    (tmp_path/'t.csv').write_text('x,cls\n' + ''.join(f'{i}.5,{i % 3 + 1}.0\n' for i in range(60)))
    run('gan-train', 't.csv', '--label', 'cls', '--steps', '1', '--quiet', '--out', 'r', cwd=tmp_path)
    for y in ('1.0', '1'):
        r = run('gan-sample', 'r', '--n', '3', '--y', y, '--out', f'{y}.csv', cwd=tmp_path)
        assert r.returncode == 0, r.stderr
        assert [o.split(',')[1] for o in (tmp_path/f'{y}.csv').read_text().split()[1:]] == ['1.0']*3
    r = run('gan-sample', 't.csv', cwd=tmp_path)
    assert r.stderr == 'gan-sample: error: t.csv is not a run folder: it is a file\n'

def test_the_seconds_are_those_of_the_whole_run(tmp_path):
    out, told = tmp_path/'r', tmp_path/'r/metrics.json'
    def train(**kw):
        gan_train(out=out, quiet=True, device='cpu', engine='eager', **kw)
        return json.loads(told.read_text()).get('seconds')
    first = train(data='ring', steps=5)
    told.write_text(told.read_text().replace(f'"seconds": {first}', '"seconds": 100.5'))
    assert train(resume=True, steps=9) >= 100.5
    told.write_text(re.sub('"seconds": [0-9.]+', '"seconds": 100.5', told.read_text()))
    assert 100.5 <= train(resume=True) < 101   # nothing was left to do
    told.unlink()                              # as a kill leaves it
    assert train(resume=True, steps=12) is None

def test_a_run_that_is_terminated_before_it_begins_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(inspect.unwrap(gan_train).__globals__, '_new', lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as e: gan_train('ring', out=tmp_path/'r', quiet=True)
    assert e.value.code == 143 and not (tmp_path/'r').exists() and signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize('options, why', [
    (dict(data='ring', set=['data.name=grid']), 'give the data, ring, or --set data.name=grid, not both'),
    (dict(game='hinge', set=['game.name=minimax']), 'game and game.name ask for the same'),
    (dict(lr=1e-3, set=['d_rule={"name":"adam","lr":0.05}']), 'give --lr, which sets both rates, or --set d_rule='),
    (dict(noise_dim=4, set=['noise={"name":"uniform","dim":9}']), '--noise_dim and noise ask for the same'),
    (dict(g_hidden='8', set=['generator={"hidden":[16],"act":"relu"}']), '--g_hidden and generator ask for the same'),
    (dict(data='ring', set=['n=4', 'data.n=6']), 'ask for the same')], ids=str)
def test_what_is_asked_for_twice_in_other_words_is_refused(tmp_path, options, why):
    with pytest.raises(ValueError) as e: gan_train(out=tmp_path/'r', steps=1, **options)
    assert why in str(e.value) and not (tmp_path/'r').exists()


def test_an_option_of_data_takes_the_place_of_what_the_name_brings_along(tmp_path):
    from gan_nbdev.cli import _joined
    told = {'data': {'name': 'mnist', 'split': 'paper'}}
    assert _joined(told, {'data.split': 'all', 'k': 2}) == {'data': {'name': 'mnist'}, 'data.split': 'all', 'k': 2}
