"""Studies as they are used: many processes, a cluster, kills on the way; the same figures to the bit.

Nothing here waits for a time to pass: each step waits for a file that the one before it writes.
"""
import csv, errno, json, os, signal, subprocess, sys, threading, time, warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np, psutil, pytest, torch
from gan_nbdev.cli import gan_train
from gan_nbdev.experiments import Experiment, experiment
from gan_nbdev.run_folders import Run
from gan_nbdev.study import Study, combinations, study
from gan_nbdev.study_command import gan_study
from gan_nbdev.support.safety import write_atomically
from gan_nbdev.trainer import Trainer

import commands

root, bin_ = Path(__file__).resolve().parent.parent, Path(sys.executable).parent
small = {'steps': 20, 'batch_size': 16, 'device': 'cpu', 'generator.hidden': [16],
         'discriminator.hidden': [16]}
ring = experiment('ring', **small)
three = combinations(ring, {'k': [1, 2, 3]})   # of three kinds, so three groups of two seeds

once = [(k, i) for k in (1, 2, 3) for i in (0, 1)]   # its runs, as k and seed

def until(true, of=None, seconds=120):
    "Wait until `true()` holds, and fail if process `of` ends before, or nothing happens for long"
    end = time.monotonic() + seconds
    while not (got := true()):
        assert time.monotonic() < end, 'it did not happen'
        assert of is None or of.poll() is None, of.communicate()
        time.sleep(0.02)
    return got

def weights(trainer): return sum(p.double().abs().sum().item() for p in trainer.gan.parameters())

def gate(trainer):
    "`weights`; leaves a note, and lets runs of another k than the first that came pass only once there is a file `go`"
    d = Path(os.environ['GATE'])
    with suppress(FileExistsError): os.symlink(str(trainer.k), d/'first')
    (d/f'{trainer.k}-{trainer.seed}-{os.getpid()}').touch()
    if trainer.k != first(d): until((d/'go').exists)
    return weights(trainer)

def first(d): return int(os.readlink(d/'first'))

def notes(d):
    "(k, seed, process) of all runs that came to the gate"
    return sorted(tuple(map(int, p.name.split('-'))) for p in d.glob('*-*'))

@pytest.fixture
def at_gate(tmp_path, monkeypatch):
    d = tmp_path/'gate'; d.mkdir()
    monkeypatch.setenv('GATE', str(d))
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(root), str(root/'tests')]))
    return d

@pytest.fixture(scope='module')
def figures(): return study(three, 2, dict(w=weights), progress=False).values('w')

def files(folder): return {p.name: p.stat().st_mtime_ns for p in (folder/'runs').glob('[!.]*.json')}

@contextmanager
def pool(n=2):
    with ProcessPoolExecutor(n, get_context('spawn')) as p: yield p

class InThread(threading.Thread):
    "A study under way"
    def __init__(self, *args, **kwargs):
        super().__init__(daemon=True)
        self.args, self.kwargs, self.result = args, kwargs, None
        self.start()
    def run(self): self.result = study(*self.args, **self.kwargs, progress=False)
    def end(self):
        self.join(120)
        return self.result

# ---- the same figures

def test_processes(figures):
    with pool() as p:
        s = study(three, 2, dict(w=weights), executor=p, progress=False)
        assert s.values('w') == figures
        a, b = study(ring, 2, executor=p, progress=False), study(ring, 2, progress=False)
        assert [r | dict(seconds=0) for r in a.rows] == [r | dict(seconds=0) for r in b.rows]

def test_threads_do_not_matter(figures):
    "Neither how many torch has, nor what it is told by the environment"
    code = ('import torch; torch.set_num_threads(2); from test_study import *; '
            'print(json.dumps(study(three, 2, dict(w=weights), progress=False).values("w"))); '
            'assert torch.get_num_threads() == 2')
    env = {**os.environ, 'OMP_NUM_THREADS': '2', 'PYTHONPATH': f'{root}{os.pathsep}{root/"tests"}'}
    r = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout) == figures

def test_a_run_that_is_refused_on_its_way_has_failed_and_the_others_go_on(monkeypatch):
    def step(trainer, of=Trainer.step):
        if (trainer.k, trainer.iteration) == (2, begun): raise ValueError('something moves')
        return of(trainer)
    monkeypatch.setattr(Trainer, 'step', step)
    begun = 5
    s = study(three, 1, dict(w=weights), progress=False)
    assert s.failed == {(1, 0): 'something moves'} and sorted(s.results) == [(0, 0), (1, 0), (2, 0)]
    begun = 0
    with pytest.raises(ValueError, match='something moves'): study(three, 1, dict(w=weights), progress=False)

# ---- what is refused, and what is kept

tiny = experiment('ring', steps=20, engine='eager', device='cpu', **{'generator.hidden': [8], 'discriminator.hidden': [8]})

def table(path, rows, columns='ab'):
    path.write_text('\n'.join([','.join(columns), *(','.join(str(i*j % 7) for j in range(len(columns))) for i in range(rows))]))

def test_one_study_has_the_same_data_throughout(tmp_path):
    "Other rows under the same name are refused, also where all is done; what is done is read without them, and so is what older studies wrote"
    file, st = tmp_path/'my.csv', tmp_path/'st'
    table(file, 300)
    e = experiment(str(file), steps=5, batch_size=16, engine='eager', device='cpu', **{'generator.hidden': [8], 'discriminator.hidden': [8]})
    study(e, 2, dict(w=weights), st, progress=False)
    before, said = files(st), (st/'study.json').read_text()
    table(file, 200, 'abc')
    for seeds in 4, 2:
        with pytest.raises(ValueError, match='^my is not the data that was recorded: it has changed since$'):
            study(e, seeds, dict(w=weights), st, progress=False)
    file.unlink()
    with pytest.warns(UserWarning, match='the data cannot be looked at, and may have changed since: .*my.csv: no such file'):
        assert len(study(e, 2, dict(w=weights), st, progress=False).results) == 2
    with pytest.raises(FileNotFoundError): study(e, 4, dict(w=weights), st, progress=False)
    assert files(st) == before and (st/'study.json').read_text() == said
    table(file, 300)
    (st/'study.json').write_text(json.dumps({k: v for k, v in json.loads(said).items() if k != 'data'}))
    assert len(study(e, 3, dict(w=weights), st, progress=False).results) == 3
    assert json.loads((st/'study.json').read_text())['data'] == json.loads(said)['data']
    (st/'study.json').write_text(json.dumps({**json.loads((st/'study.json').read_text()), 'data': 5}))
    with pytest.raises(ValueError, match='differs in its data'): study(e, 4, dict(w=weights), st, progress=False)

@pytest.mark.parametrize('changes, why', [
    ({'pack': 3}, 'batch_size must be a multiple of 3'), ({'classes': 4}, 'ring has no labels'), ({'game': 'began'}, 'began needs'),
    ({'device': 'cuda:99'}, "device 'cuda:99' is not there"), ({'data': '/nope.csv'}, 'no such file'),
    ({'d_rule.schedule': {}, 'g_rule.schedule': {}, 'steps': None}, 'steps must be')])
def test_what_cannot_be_trained_is_refused_before_anything_is_begun(tmp_path, changes, why):
    with pytest.raises((ValueError, FileNotFoundError), match=why):
        study([tiny, tiny.changed(changes)], 2, dict(w=weights), tmp_path/'s', progress=False)
    assert not (tmp_path/'s').exists()

def test_what_cannot_be_trained_is_refused_where_it_is_trained(tmp_path):
    with pool(1) as p, pytest.raises(ValueError, match='batch_size must be'):
        study(tiny.changed({'pack': 3}), 2, folder=tmp_path/'s', executor=p, progress=False)
    assert not (tmp_path/'s').exists()

@pytest.mark.parametrize('given, more, why', [
    (None, {}, 'experiments must be'), ([tiny, 5], {}, 'not 5'), ({5: 1}, {}, 'name of an entry must be a text'),
    ({'data': 'ring', 5: [1]}, {}, 'name of an entry must be a text'), (tiny, dict(executor=5), 'executor must be'),
    (tiny, dict(seeds=[2**63]), 'each seed must be a whole number of at least 0 and below'), (tiny, dict(seeds={1, 2}), 'or a list of them'), (tiny, dict(folder='file'), '^folder file is a file'),
    (tiny, dict(folder=5), '^folder must be the path'), ([tiny, tiny.changed({'seed': 3})], {}, 'the same: seeds come from'),
    (tiny, dict(seeds=10**12), 'at most 1,000,000 runs'), ([tiny, tiny.changed({'k': 2})], dict(seeds=range(10**12)), 'at most 500,000 seeds'),
    ({'data': 'ring', 'k': [*range(1, 1100)], 'k_g': [*range(1, 1100)]}, {}, 'these are 1,207,801 combinations'),
    ({'data': 'ring', 'steps': (2, 3)}, {}, 'steps must be .*: what varies stands in a list, not in a tuple'),
    (tiny, dict(metrics={'a\nb': len}), 'metrics: .* must be a name in one line'),
    (tiny, dict(metrics=[len]), 'metrics must be'), (tiny, dict(metrics={5: len}), 'name of each of metrics must be a text'),
    *(([tiny, tiny.changed({'k': 2})], dict(metrics={k: len}), f'metrics: {k} is a column') for k in ('k', 'seed', 'seconds', 'failed'))])
def test_wrong_arguments_are_refused_in_one_line(tmp_path, monkeypatch, given, more, why):
    monkeypatch.chdir(tmp_path)
    Path('file').touch()
    with pytest.raises(ValueError, match=why) as e: study(given, **{'seeds': 1, **more}, progress=False)
    assert '\n' not in str(e.value) and '--' not in str(e.value)

def test_a_metric_may_be_named_as_an_entry_that_does_not_vary():
    assert study(tiny, 1, dict(k=weights), progress=False).metrics == ['k']

def picky(trainer):
    "Measures no run of seed 1 as long as there is a file `picky` at the gate"
    how = Path(os.environ['GATE'])/'picky'
    if trainer.seed != 1 or not how.exists(): return weights(trainer)
    if how.read_text() == 'raises': raise KeyError('seed 1')
    return [1, 2] if how.read_text() == 'list' else None

@pytest.mark.parametrize('how, error', [('raises', KeyError), ('list', ValueError), ('None', ValueError)])
def test_a_metric_that_fails_costs_only_its_run(tmp_path, at_gate, how, error):
    (at_gate/'picky').write_text(how)
    four = [tiny, tiny.changed({'k': 2})], 3, dict(w=picky), tmp_path/'s'
    with pytest.raises(error, match="seed 1|metrics: w must be one number, not"): study(*four, progress=False)
    assert sorted(before := files(tmp_path/'s')) == ['0-0.json', '0-2.json']   # and no other group is begun
    (at_gate/'picky').unlink()
    s = study(*four, progress=False)
    assert len(s.results) == 6 and s.values('w') == study(*four[:3], progress=False).values('w')

def test_a_metric_that_fails_elsewhere_costs_only_its_run(tmp_path, at_gate):
    "What is under way in other processes is kept too"
    (at_gate/'picky').write_text('raises')
    with pool() as p, pytest.raises(KeyError, match='seed 1'):
        study([tiny, tiny.changed({'k': 2})], [0, 1], dict(w=picky), tmp_path/'s', p, progress=False)
    assert sorted(files(tmp_path/'s')) == ['0-0.json', '1-0.json']

def test_what_was_measured_before_a_metric_failed_is_with_its_exception():
    def picky(trainer): return {0: 1., 1: 2.}[trainer.seed]
    with pytest.raises(KeyError) as e: study(tiny, 4, dict(w=picky), together=1, progress=False)
    assert e.value.study.values('w') == [[1., 2.]]

def test_a_metric_that_other_processes_cannot_import_is_refused_before_anything_is_begun(tmp_path):
    with pool(1) as p, pytest.raises(ValueError, match='^metrics: v must be a function of a module, which other processes can import, not <function'):
        study(tiny, 1, dict(w=weights, v=lambda t: 1.), tmp_path/'s', p, progress=False)
    assert not (tmp_path/'s').exists()

@pytest.mark.parametrize('at', ['study.json', '0-1.json', 'summary.csv', 'study.png'])
def test_a_full_disk_costs_nothing_that_is_done(tmp_path, monkeypatch, at):
    def full(path, write):
        if path.name == at: raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_atomically(path, write)
    with monkeypatch.context() as m, pytest.raises(OSError, match=f'{at} cannot be written: No space left .* kept, and the same call goes on'):
        m.setattr('gan_nbdev.study.write_atomically', full)
        study(tiny, 3, dict(w=weights), tmp_path/'s', together=1, progress=False)
    before = files(tmp_path/'s')
    assert len(before) == {'study.json': 0, '0-1.json': 1}.get(at, 3)
    study(tiny, 3, dict(w=weights), tmp_path/'s', together=1, progress=False)
    assert before.items() <= (after := files(tmp_path/'s')).items() and len(after) == 3 and (tmp_path/'s/study.png').exists()

def not_finite(trainer): return [float('nan'), float('inf'), -float('inf')][trainer.seed]

def test_numbers_that_json_lacks_come_back_as_they_were(tmp_path):
    def refuse(constant): raise AssertionError(constant)
    for _ in range(2): s = study(tiny, 3, dict(v=not_finite, w=weights), tmp_path/'s', progress=False)
    assert str(s.values('v')) == '[[nan, inf, -inf]]'
    for p in (tmp_path/'s/runs').iterdir(): json.loads(p.read_text(), parse_constant=refuse)
    run = tmp_path/'s/runs/0-0.json'
    old = json.loads(run.read_text()); old['metrics']['v'] = float('nan'); run.write_text(json.dumps(old))   # as it was written once
    assert str(study(tiny, 3, dict(v=not_finite, w=weights), tmp_path/'s', progress=False).values('v')) == '[[nan, inf, -inf]]'

def test_settings_are_called_by_what_tells_them_apart(tmp_path):
    s = Study(dict(data='ring', steps=10, game=['non-saturating', 'hinge', 'minimax', 'wasserstein']), 1)
    names = ['non-saturating', 'hinge', 'minimax', 'wasserstein']
    assert [s.label(i) for i in range(4)] == [f'game.name={k}' for k in names] and [o['game.name'] for o in s.settings] == names
    assert 'game' not in s.settings[0] and [o['game.clip'] for o in s.settings] == [None, None, None, .05]
    s.results = {(i, 0): dict(metrics=dict(score=1.), failed=None, seconds=1., versions={}) for i in range(4)}
    with warnings.catch_warnings():   # a picture without room would warn
        warnings.simplefilter('error'); s.save(tmp_path)
    pairs = Study(combinations(ring, {'k': [1, 2], 'g_rule.lr': [1e-4, 5e-4], 'd_rule.lr': [1e-4, 5e-4]}), 1)
    assert pairs.label(0) == 'k=1, g_rule.lr=0.0001, d_rule.lr=0.0001'   # short enough, and all of it is needed


def test_numbers_that_differ_late_have_names_that_differ():
    s = Study(dict(data='ring', **{'d_rule.lr': [1e-3, 1.00001e-3], 'g_rule.lr': [1e-4, 1/3]}), 1)
    s.results = {(i, 0): dict(metrics=dict(score=1.), failed=None, seconds=1., versions={}) for i in range(4)}
    assert s.label(2) == 'd_rule.lr=0.00100001, g_rule.lr=0.0001'
    assert [r.split('|')[2].strip() for r in s.markdown().splitlines()[2:]] == ['0.001', '0.001', '0.00100001', '0.00100001']
    assert [r.split('|')[3].strip() for r in s.markdown().splitlines()[2:]] == ['0.0001', '0.3333']*2

def test_an_infinite_metric_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        s = study(tiny, 2, dict(v=lambda t: (1., float('inf'))[t.seed]), progress=False)
        assert s.table('v')[0]['mean'] == float('inf') and 'inf ± nan' in s.markdown()

@pytest.mark.parametrize('seeds, known', [(torch.tensor([3, 1]), [3, 1]), (torch.tensor(2), [0, 1]), (range(2, 4), [2, 3])])
def test_seeds_in_any_form(seeds, known): assert Study(tiny, seeds).seeds == known

@pytest.mark.parametrize('v', [[1, 2], None, {}])
def test_a_result_that_is_no_number_is_refused_with_its_file(tmp_path, v):
    study(tiny, 1, dict(w=weights), tmp_path, progress=False)
    path = tmp_path/'runs/0-0.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'metrics': {'w': v}}))
    with pytest.raises(ValueError, match='0-0.json is not what a study writes'): study(tiny, 1, dict(w=weights), tmp_path, progress=False)

def test_a_study_in_which_nothing_is_measured_has_no_picture():
    with pytest.raises(ValueError, match='nothing to plot'): Study(tiny, 1).plot()

# ---- kills

def test_killed_and_started_again(tmp_path, at_gate, figures):
    "What is done stays as it is; each other run is made once more"
    code = 'from test_study import *; study(three, 2, dict(w=gate), sys.argv[1], progress=False)'
    cmd = [sys.executable, '-c', code, tmp_path/'s']
    p = subprocess.Popen(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: any(k == 2 for k, *_ in notes(at_gate)), p)
    p.kill(); p.communicate()
    before, began = files(tmp_path/'s'), notes(at_gate)
    assert sorted(before) == ['0-0.json', '0-1.json'] and len(began) == 3
    (at_gate/'go').touch()
    r = subprocess.run(cmd, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    after = files(tmp_path/'s')
    assert len(after) == 6 and {k: after[k] for k in before} == before
    again = [o[:2] for o in notes(at_gate) if o not in began]
    assert again == [(2, 0), (2, 1), (3, 0), (3, 1)]
    with open(tmp_path/'s/results.csv') as f: rows = list(csv.DictReader(f))
    assert [float(r['w']) for r in rows] == sum(figures, [])

def test_broken_pool(tmp_path, at_gate, figures, capsys):
    with pool(1) as p:
        t = InThread(three, 2, dict(w=gate), tmp_path/'s', p)
        note = until(lambda: [o for o in notes(at_gate) if o[0] == 2])[0]
        os.kill(note[2], signal.SIGKILL)
        s = t.end()
    said = capsys.readouterr().out
    assert said.count('\n') == 1 and '2 of 6 runs are done and kept in' in said
    assert s.stopped and sorted(s.results) == [(0, 0), (0, 1)]
    (at_gate/'go').touch()
    with pool(1) as p: s = study(three, 2, dict(w=gate), tmp_path/'s', p, progress=False)
    assert s.values('w') == figures and s.stopped is None
    assert [o[:2] for o in notes(at_gate)] == sorted([*once, (2, 0)])

# ---- a cluster

@contextmanager
def cluster(d, workers=2):
    "A scheduler and workers, started as a user would: the address, the workers by process id"
    def start(*args, **more):
        return subprocess.Popen([bin_/'dask', *map(str, args)], cwd=d, text=True, **more,
                                stdout=subprocess.DEVNULL, stderr=open(d/'dask.log', 'a'))
    file = d/'scheduler.json'
    ps = [start('scheduler', '--host', '127.0.0.1', '--port', 0, '--no-dashboard', '--scheduler-file', file)]
    try:
        until(file.exists, ps[0])
        for _ in range(workers):
            ps.append(start('worker', '--scheduler-file', file, '--nthreads', 1, '--no-nanny',
                            '--no-dashboard'))
        address = until(lambda: json.loads(file.read_text() or '{}').get('address'))
        yield address, {p.pid: p for p in ps[1:]}
    finally:
        for p in ps[::-1]: p.kill()
        for p in ps: p.wait()

def test_cluster(tmp_path, at_gate, figures):
    "A worker that is killed costs the runs under way there; the others take them over"
    from dask.distributed import Client
    with cluster(tmp_path) as (address, workers), Client(address) as client:
        client.wait_for_workers(2)
        e = client.get_executor()
        assert study(three, 2, dict(w=weights), executor=e, progress=False).values('w') == figures
        t = InThread(three, 2, dict(w=gate), tmp_path/'s', e)
        until(lambda: len(files(tmp_path/'s')) == 2)
        held = until(lambda: len(o := [o for o in notes(at_gate) if o[0] != first(at_gate)]) == 2 and o)
        before, victim = files(tmp_path/'s'), held[0]
        assert {o[2] for o in held} == set(workers)   # each has a group
        workers[victim[2]].kill()
        (at_gate/'go').touch()
        s = t.end()
    assert s.values('w') == figures and s.stopped is None
    after = files(tmp_path/'s')
    assert len(after) == 6 and {k: after[k] for k in before} == before
    assert [o[:2] for o in notes(at_gate)] == sorted([*once, victim[:2]])   # only that group twice

def test_scheduler_lost(tmp_path, at_gate, capsys):
    from dask.distributed import Client
    d = tmp_path/'s'
    with cluster(tmp_path, 1) as (address, workers):
        with Client(address) as client:
            t = InThread(three, 2, dict(w=gate), d, client.get_executor())
            until(lambda: len(files(d)) == 2)
            client.shutdown()
            s = t.end()
    assert s.stopped and '2 of 6 runs are done and kept in' in capsys.readouterr().out

# ---- the command

def run(*args, cwd): return commands.run('gan-study', *args, cwd=cwd)

def begin(*args, cwd):
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(root)}
    return subprocess.Popen([bin_/'gan-study', *map(str, args)], cwd=cwd, env=env, text=True, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

def results(folder):
    with open(folder/'results.csv') as f: rows = list(csv.DictReader(f))
    return [{k: v for k, v in r.items() if k != 'seconds'} for r in rows]

def test_command(tmp_path):
    "Here, in processes, on a cluster: one table"
    (tmp_path/'ring.json').write_text(ring.json())
    args = ['ring.json', '--vary', 'k=1,2', 'g_rule.lr=1e-4,5e-4', '--seeds', 2]
    r = run(*args, '--out', 'here', cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    assert '8 of 8 runs done' in r.stdout and '8/8' in r.stderr
    rows = results(tmp_path/'here')
    first = [(o['k'], o['g_rule.lr'], o['seed']) for o in rows[:3]]
    assert first == [('1', '0.0001', '0'), ('1', '0.0001', '1'), ('1', '0.0005', '0')]
    names = {p.name for p in (tmp_path/'here').iterdir()}
    assert names == {'study.json', 'runs', 'results.csv', 'summary.csv', 'study.png'}
    r = run(*args, '--out', 'processes', '--workers', 2, '--quiet', cwd=tmp_path)
    assert r.returncode == 0 and r.stderr == ''
    with cluster(tmp_path) as (address, _):
        r = run(*args, '--out', 'cluster', '--cluster', address, cwd=tmp_path)
        assert r.returncode == 0, r.stderr
    assert results(tmp_path/'processes') == results(tmp_path/'cluster') == rows

def planned(folder): return [Experiment(o) for o in json.loads((folder/'study.json').read_text())['experiments']]

quick = 'steps=2', 'device=cpu'
@pytest.mark.parametrize('varied, values', [('game', 'non-saturating,wgan-gp'), ('game.name', 'non-saturating,wgan-gp'), ('data', 'ring,digits')])
def test_the_command_trains_what_gan_train_would(tmp_path, varied, values):
    gan_study('ring', [f'{varied}={values}', *quick], 1, str(tmp_path/'s'), quiet=True)
    for e, v in zip(planned(tmp_path/'s'), values.split(',')):
        asked = dict(data=v) if varied == 'data' else dict(set=[f'{varied}={v}'])
        gan_train(**{'data': 'ring', **asked}, steps=2, device='cpu', out=tmp_path/v, quiet=True)
        assert e == Experiment(json.loads((tmp_path/v/'config.json').read_text())['experiment'])

def test_of_a_file_the_command_varies_what_fits_it_and_reads_it_once(tmp_path, monkeypatch):
    table(tmp_path/'my.csv', 300)
    def seen(experiments, *args, **more): raise ValueError(len({id(e.given['data']) for e in experiments}), [e.entries for e in experiments])
    monkeypatch.setattr('gan_nbdev.study.study', seen)
    with pytest.raises(ValueError) as e: gan_study(str(tmp_path/'my.csv'), ['game=non-saturating,wgan-gp', 'k=1,2'], 1, str(tmp_path/'s'))
    asked = [dict(game=g, k=k) for g in ('non-saturating', 'wgan-gp') for k in (1, 2)]
    assert e.value.args == (1, [experiment(str(tmp_path/'my.csv'), **o).entries for o in asked])

def test_of_a_lengthened_run_the_command_studies_the_whole_length(tmp_path):
    gan_train('ring', steps=6, device='cpu', out=tmp_path/'r', quiet=True)
    gan_train(resume=True, steps=9, out=tmp_path/'r', quiet=True)
    gan_study(str(tmp_path/'r'), None, 1, str(tmp_path/'s'), quiet=True)
    assert [e['steps'] for e in planned(tmp_path/'s')] == [9]

@pytest.mark.parametrize('acts, how', [
    ([{'fit': 10}, {'change': {'k': 2}}, {'fit': 10}], 'was steered on its way'), ([{'fit': 10}, {'alone': 'd', 'times': 1}, {'fit': 10}], 'was steered'),
    ([{'fit': 5}], 'is of 5 iterations, but its description of 20')])
def test_a_run_that_no_description_repeats_is_refused(tmp_path, acts, how):
    Run(tiny).play(acts).save(tmp_path/'r')
    with pytest.raises(ValueError, match=how): gan_study(str(tmp_path/'r'), None, 1, str(tmp_path/'s'), quiet=True)
    assert not (tmp_path/'s').exists()

@pytest.mark.parametrize('varied, metric', [('game=non-saturating,wgan-gp', 'final_value'), ('game=wgan-gp,non-saturating', 'final_value'),
                                            ('data=ring,digits', 'jsd'), ('data=digits,ring', 'jsd')])
def test_a_metric_that_some_setting_lacks_is_refused(tmp_path, varied, metric):
    with pytest.raises(ValueError, match=f'--metric {metric} must be one of .*, which all settings have$') as e:
        gan_study('ring', [varied, *quick], 1, str(tmp_path/'s'), metric, quiet=True)
    assert f'{metric},' not in str(e.value) and not (tmp_path/'s').exists()

def gone(group):
    try: os.killpg(group, 0)
    except ProcessLookupError: return True

@pytest.mark.parametrize('workers, send, number', [(1, os.killpg, signal.SIGINT), (2, os.killpg, signal.SIGINT), (2, os.kill, signal.SIGINT),
                                                   (1, os.kill, signal.SIGTERM), (2, os.kill, signal.SIGTERM)])
def test_interrupted(tmp_path, workers, send, number):
    "Ctrl-C, from a terminal to all processes or to the first, and what ends machines: one line, what is done, nobody left"
    (tmp_path/'ring.json').write_text(ring.json())
    args = ['ring.json', '--vary', 'steps=10,100000000', '--seeds', 2, '--out', 's', '--quiet',
            '--workers', workers]
    p = begin(*args, cwd=tmp_path)
    until(lambda: len(files(tmp_path/'s')) == 2, p)
    send(p.pid, number)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 128 + number and err == '', err
    assert 'interrupted: 2 of 4 runs are done and kept in s; the same call goes on' in out
    assert len(results(tmp_path/'s')) == 2
    until(lambda: gone(p.pid))

def deaf(descriptions, metrics):
    "In place of a group's training: hears Ctrl-C only a moment after it began, and never ends by itself"
    (Path(os.environ['GATE'])/f'{os.getpid()}').touch()
    time.sleep(.5)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while True: time.sleep(60)

def test_interrupted_before_workers_listen(tmp_path, at_gate):
    (tmp_path/'ring.json').write_text(ring.json())
    code = ('import sys, test_study, gan_nbdev.study, gan_nbdev.study_command as c; gan_nbdev.study._train_group = test_study.deaf\n'
            'if __name__ == "__main__": sys.exit(c.gan_study("ring.json", seeds=2, out="s", workers=2, together=1, quiet=True))')
    (tmp_path/'command.py').write_text(code)
    p = subprocess.Popen([sys.executable, 'command.py'], cwd=tmp_path, start_new_session=True, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: len(list(at_gate.iterdir())) == 2, p)
    os.kill(p.pid, signal.SIGINT)
    until(lambda: p.poll() is not None)
    out, err = p.communicate()
    assert p.returncode == 130 and err == '' and 'interrupted: 0 of 2 runs are done\n' in out
    until(lambda: gone(p.pid))

@pytest.mark.skipif(sys.platform != 'linux', reason='workers begin otherwise there')
@pytest.mark.parametrize('send, number', [(os.killpg, signal.SIGINT), (os.kill, signal.SIGINT), (os.kill, signal.SIGTERM)])
def test_ended_while_workers_begin(tmp_path, send, number):
    "What they are copied from loads torch: nothing is said of that, and nothing is left"
    p = begin('ring', '--seeds', 2, '--workers', 2, '--quiet', '--out', 's', cwd=tmp_path)
    def loads(): return any('forkserver' in o for child in psutil.Process(p.pid).children() for o in child.cmdline())
    until(lambda: (tmp_path/'s/.lock').exists() and loads(), p)
    send(p.pid, number)
    out, err = p.communicate(timeout=60)
    early = '' if number == signal.SIGTERM else 'gan-study: interrupted\n'
    assert p.returncode == 128 + number and (out + err == early or out.startswith('interrupted: 0 of 2 runs are done\n'))
    assert 'kept' not in out and err in ('', 'gan-study: interrupted\n') and not (tmp_path/'s').exists()
    until(lambda: gone(p.pid))

def test_killed_leaves_no_worker_behind(tmp_path):
    (tmp_path/'ring.json').write_text(ring.json())
    args = ['ring.json', '--vary', 'steps=10,100000000', '--seeds', 2, '--out', 's', '--workers', 2]
    p = begin(*args, cwd=tmp_path)
    until(lambda: len(files(tmp_path/'s')) == 2, p)
    p.kill(); p.communicate()
    until(lambda: gone(p.pid))

@pytest.mark.parametrize('args, why', [
    (['rign'], 'unknown data'), (['--vary', 'k'], 'as k=1,5'), (['--vary', 'k=0'], 'k must be'),
    (['--seeds', 0], 'seeds must be'), (['--cluster', 'tcp://127.0.0.1:1', '--workers', 2], 'not both'),
    (['--out', 'file'], '--out file is a file'), (['--vary', 'pack=1,3'], 'batch_size must be a multiple of 3'), (['--out', 'other'], 'another study')])
def test_refused(tmp_path, args, why):
    (tmp_path/'file').touch()
    (tmp_path/'other').mkdir()
    (tmp_path/'other/study.json').write_text('{}')
    r = run(*args, cwd=tmp_path)
    assert r.returncode == 2 and r.stdout == '' and why in r.stderr
    assert r.stderr.startswith('gan-study: error: ') and r.stderr.count('\n') == 1

def test_help_is_quick():
    code = ('import sys; sys.argv = ["gan-study"]; import gan_nbdev.study_command; '
            'assert not {"torch", "matplotlib", "dask"} & sys.modules.keys()')
    subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': str(root)}, check=True)


def test_a_setting_that_has_the_name_of_a_metric_has_a_column_of_its_own(tmp_path):
    np.save(tmp_path/'p.npy', np.random.default_rng(0).normal(size=(200, 2)))
    base = experiment(tmp_path/'p.npy', steps=2, batch_size=16, device='cpu', engine='eager', **{'generator.hidden': [8], 'discriminator.hidden': [8]})
    s = study([base.changed({'precision': p}) for p in ('float32', 'bf16')], 2, folder=tmp_path/'s', progress=False)
    with open(tmp_path/'s/results.csv', newline='') as f: results = [*csv.DictReader(f)]
    with open(tmp_path/'s/summary.csv', newline='') as f: summary = [*csv.DictReader(f)]
    assert [r['setting.precision'] for r in results] == ['float32']*2 + ['bf16']*2 == [r['setting.precision'] for r in s.rows]
    assert [float(r['precision']) for r in results] == [v for one in s.values('precision') for v in one]
    assert {r['setting.precision'] for r in summary} == {'float32', 'bf16'} == {r['setting.precision'] for r in s.table('precision')}
    assert '| setting.precision |' in s.markdown('precision') and s.label(1) == 'precision=bf16'
