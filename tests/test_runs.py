"A story is done again to the bit, wherever it was cut; a folder is enough for all of it."
import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from commands import python_m
from gan_nbdev.algorithm import Rule
from gan_nbdev.cli import gan_eval, gan_sample, gan_train
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.engines.checkpoints import Checkpoints, checkpoint_files, latest_checkpoint, pack, read_checkpoint
from gan_nbdev.experiments import experiment
from gan_nbdev.games.table import games
from gan_nbdev.run_folders import load_run, read_record
from gan_nbdev.runs import Run
from gan_nbdev.support.folders import writing
from gan_nbdev.trainer import EarlyStop, Trainer

small = {'device': 'cpu', 'batch_size': 16, 'generator.hidden': [8], 'discriminator.hidden': [8],
         'discriminator.dropout': 0.3, 'generator.norm': 'batch', 'steps': 60}
plan = [{'fit': 20}, {'change': {'k': 2, 'd_rule.lr': 2e-4}}, {'alone': 'd', 'times': 3}, {'fit': 11},
        {'change': {'game': 'minimax', 'batch_size': 24, 'k_g': 2}}, {'alone': 'g', 'times': 1},
        {'alone': 'd', 'times': 1}, {'fit': 5},
        {'change': {'g_rule': {'name': 'sgd', 'lr': 0.01, 'momentum': 0.5}}}, {'fit': 9},
        {'change': {'steps': 90, 'engine': 'eager'}}, {'fit': 10}]
rows = Samples(np.random.default_rng(0).normal([170, .02], [8, .001], (100, 2)), name='people')


def state(run):
    tree, tensors = pack(run.trainer.state_dict())
    return json.dumps(tree), {k: v.numpy().tobytes() for k, v in tensors.items()}


def new(data='ring'): return Run(experiment(data, **small), None if isinstance(data, str) else data)


class _Logs:
    every = 5
    def after_block(self, trainer):
        trainer.log('fid', 1.)
        trainer.log('far', float('inf'))
        if trainer.iteration == 5: trainer.log('once', 2.)


def test_what_was_logged_now_and_then_is_measured(tmp_path):
    def refuse(constant): raise AssertionError(constant)
    run = new()
    run.trainer.hooks.append(_Logs())
    run.fit(50, progress=False).save(tmp_path/'r')
    said = json.loads((tmp_path/'r/metrics.json').read_text(), parse_constant=refuse)
    assert [said[f'final_{k}'] for k in ('fid', 'once', 'far')] == [1, None, None]


def test_the_last_tenth_of_the_record_is_measured():
    run = new().fit(20, progress=False)
    said, record = run.measure(), run.trainer.history
    assert said['iterations'] == 20 and said['final_value'] != record['value'].mean()
    for k, v in record.items(): assert said[f'final_{k}'] == v[-2:].mean()


@pytest.fixture(scope='module', params=['ring', 'rows'])
def whole(request, tmp_path_factory):
    "A run with every act in its story, done by hand as the Lab does, and saved"
    run = new('ring' if request.param == 'ring' else rows)
    for act in plan:
        if 'fit' in act:   # in pieces, which the story joins
            for n in (1, act['fit'] - 1): run.fit(n, progress=False)
        elif 'alone' in act:
            for _ in range(act['times']): run.alone(act['alone'])
        else: run.change(act['change'])
    assert run.story == plan
    return run, run.save(tmp_path_factory.mktemp('whole')/'run')


def test_repeated_and_opened(whole):
    run, folder = whole
    for other in (Run.repeat(folder), Run.repeat(folder/'config.json'), Run.open(folder)):
        assert state(other) == state(run) and other.record() == run.record()
    opened, on = Run.open(folder), Run.open(folder).alone('d').fit(3, progress=False)
    assert state(opened.alone('d').fit(3, progress=False)) == state(on)


def test_the_code_arrives_at_the_same_state(whole):
    run, folder = whole
    names = {'data': rows}
    exec(run.code().replace('.fit(', '.fit(progress=False, n='), names)
    weights = names['trainer'].gan.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in run.trainer.gan.state_dict().items())


def test_the_commands_repeat_resume_and_measure_it(whole, tmp_path, capsys):
    run, folder = whole
    gan_train(config=folder, out=tmp_path/'again', quiet=True)
    for name in ('weights.safetensors', 'history.csv', 'config.json'):
        assert (folder/name).read_bytes() == (tmp_path/'again'/name).read_bytes(), name
    gan_train(resume=True, out=tmp_path/'again', steps=95, quiet=True)
    record = read_record(tmp_path/'again')
    assert record['story'] == plan + [{'change': {'steps': 95}}, {'fit': 40}]
    gan_train(config=tmp_path/'again', out=tmp_path/'third', quiet=True)
    for name in ('weights.safetensors', 'history.csv', 'config.json'):
        assert (tmp_path/'third'/name).read_bytes() == (tmp_path/'again'/name).read_bytes(), name
    capsys.readouterr()
    gan_sample(folder, n=20, out=tmp_path/'x.npy')
    assert np.array_equal(np.load(tmp_path/'x.npy'), run.trainer.sample(20).numpy())
    gan_eval(folder, json=True)
    said = capsys.readouterr().out
    json.loads(said[said.index('{'):])


class StopAt:
    def __init__(self, n): self.n = n
    def after_iteration(self, trainer):
        if trainer.iteration == self.n: trainer.stop()


@pytest.mark.parametrize('n', [1, 19, 20, 25, 31, 36, 40, 45, 54])
def test_stopped_anywhere_it_goes_on_to_the_bit(whole, tmp_path, n):
    run, _ = whole
    first = new() if 'name' in run.begun['data'] else new(rows)
    first.plan = plan
    first.trainer.hooks.append(StopAt(n))
    first.keep(tmp_path, every=7).go_on()
    assert first.iteration == n
    second = Run.open(tmp_path)
    assert second.story == first.story and second.left == first.left and second.iteration == n
    assert state(second.go_on()) == state(run)


def test_killed_between_two_acts(whole, tmp_path, monkeypatch):
    "What was done since the last checkpoint is lost, and done again"
    run, _ = whole
    first = new() if 'name' in run.begun['data'] else new(rows)
    first.plan = plan
    class Killed(BaseException): pass
    def killed(*_): raise Killed
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, 'alone', killed)
        with pytest.raises(Killed): first.keep(tmp_path, every=7).go_on()
    second = Run.open(tmp_path)
    assert second.story == plan[:1] and second.left == plan[1:]
    assert state(second.go_on()) == state(run)


def test_own_rows_go_along_and_survive_a_kill(tmp_path):
    "A repeated run writes its rows at its start"
    run = Run(experiment(rows, **small), rows).fit(5, progress=False)
    run.save(tmp_path/'a')
    again = Run.again(tmp_path/'a', {'steps': 30})
    again.trainer.hooks.append(StopAt(12))
    again.keep(tmp_path/'b', every=5).go_on()
    with pytest.warns(UserWarning, match='b was not finished: this is iteration 12 of 30'):
        gan_sample(tmp_path/'b', n=5, out=tmp_path/'x.npy')
    assert 100 < np.load(tmp_path/'x.npy')[:, 0].mean() < 240
    gan_train(resume=True, out=tmp_path/'b', quiet=True)
    assert state(Run.open(tmp_path/'b')) == state(Run(experiment(rows, **{**small, 'steps': 30}), rows).fit(30, progress=False))


@pytest.mark.parametrize('kind, scale, form', [('series', None, (9, 2)), ('series', (0, 8), (9, 2)), ('other', None, (9, 2)), ('image', (0, 8), (9, 2)), ('series', None, (9,))])
def test_own_rows_come_back_as_what_they_are(tmp_path, kind, scale, form):
    data = Samples(np.random.default_rng(0).uniform(-1, 1, (60, *form)), scale, kind=kind)
    run = Run(experiment(data, 'points', **small), data).fit(5, progress=False)
    run.save(tmp_path/'a')
    for other in (Run.open(tmp_path/'a'), Run.repeat(tmp_path/'a')):
        there = other.trainer.data
        assert (there.kind, there.span, there.signed, there.bounded) == (kind, data.span, data.signed, data.bounded)
        assert state(other) == state(run) and other.record() == run.record()


@pytest.mark.parametrize('who', ['generator', 'discriminator'])
def test_weights_without_a_seed_are_not_repeated(tmp_path, who):
    run = Run(experiment('ring', **{**small, f'{who}.seed': None})).fit(5, progress=False)
    run.save(tmp_path/'a')
    with pytest.raises(ValueError, match=f'a cannot be repeated: {who}.seed is None'): Run.repeat(tmp_path/'a')
    assert f'# {who}: without a seed' in run.code() and run.code().count('without a seed') == 1
    assert state(Run.open(tmp_path/'a')) == state(run)
    assert Run.again(tmp_path/'a', {f'{who}.seed': 3}).code().count('without a seed') == 0


def test_killed_after_it_was_made_longer(tmp_path):
    "Readers take the newest state, not that of the end that was"
    Run(experiment('ring', **small)).fit(10, progress=False).save(tmp_path)
    longer = Run.open(tmp_path)
    longer.plan = [{'fit': 30}]
    longer.trainer.hooks.append(StopAt(20))
    longer.keep(tmp_path, every=5).go_on()   # and no `save`
    with pytest.warns(UserWarning, match='was not finished: this is iteration 20 of 30'):
        gan, _, record = load_run(tmp_path)
    assert record['story'] == [{'fit': 20}] and record['left'] == [{'fit': 10}]
    mine = longer.trainer.gan.generator.state_dict()
    assert all(torch.equal(v, mine[k]) for k, v in gan.generator.state_dict().items())


def test_what_cannot_begin_replaces_nothing(tmp_path):
    "An engine refuses only when it is made; the folder is as it was"
    old = Run(experiment('ring', **small)).fit(3, progress=False)
    old.save(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
    run = Run(experiment('ring', **{**small, 'engine': 'graphed'}))
    run.plan = [{'fit': 5}]
    with pytest.raises(ValueError, match='CUDA graphs need a GPU'): run.keep(tmp_path).go_on()
    assert before == {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}


def test_one_run_alone_in_its_folder(tmp_path):
    "Checkpoints of the run that was there before go, those of fewer iterations too"
    Run(experiment('ring', **small)).fit(3, progress=False).save(tmp_path)
    run = Run(experiment('ring', **{**small, 'seed': 1})).fit(5, progress=False)
    run.save(tmp_path, replace=True)
    assert [p.name for p in (tmp_path/'checkpoints').iterdir()] == ['checkpoint-0000000005.safetensors']


def test_runs_of_0_1_are_refused(tmp_path):
    "The folder, and a checkpoint in it"
    old = dict(data=dict(what='ring', name='ring', dim=2, shape=[2], bounded=False),
               settings=dict(recipe='points', steps=5))
    (tmp_path/'a').mkdir()
    (tmp_path/'a/config.json').write_text(json.dumps(old))
    run = new().fit(2, progress=False)
    run.trainer.hooks.append(Checkpoints(tmp_path/'b/checkpoints', notes=old))
    run.fit(1, progress=False)
    for f in (load_run, Run.open, Run.repeat, gan_eval):
        for d in 'ab':
            if (f, d) == (Run.open, 'a'): continue   # which has no checkpoint
            with pytest.raises(ValueError, match='begin the run anew') as e: f(tmp_path/d)
            assert str(e.value).count('\n') == 0
    with pytest.raises(ValueError, match='begin the run anew'): gan_train(resume=True, out=tmp_path/'b')


def test_saving_over_a_longer_run_leaves_none_of_its_checkpoints(tmp_path):
    new().fit(30, progress=False).save(tmp_path)
    run = new().fit(10, progress=False)
    with pytest.raises(ValueError, match='already holds a run'): run.save(tmp_path)
    run.save(tmp_path, replace=True)
    assert [i for i, _ in checkpoint_files(tmp_path/'checkpoints')] == [10]
    assert state(Run.open(tmp_path)) == state(run)


def own(seed): return new(Samples(np.random.default_rng(seed).normal(size=(100, 2)), name='own')).fit(2 + seed, progress=False)
def files(folder): return {p: p.read_bytes() for p in folder.rglob('*') if p.is_file()}


@pytest.mark.parametrize('where, name', [('engines.checkpoints', 'write_checkpoint'), ('run_folders', 'save_file')])
@pytest.mark.parametrize('seed', [0, 1])   # a run of fewer iterations over one of more, and the other way round
def test_a_save_that_fails_leaves_the_run_that_was_there(tmp_path, monkeypatch, where, name, seed):
    old, later = own(seed), own(1 - seed)
    before = files(old.save(tmp_path/'run'))
    write = getattr(sys.modules[f'gan_nbdev.{where}'], name)
    def full(*args, **kwargs):
        if name == 'write_checkpoint' or 'x' in args[0]:   # the rows, not the weights
            open(args[0] if name == 'write_checkpoint' else args[1], 'wb').write(b'half')
            raise OSError(28, 'No space left on device')
        return write(*args, **kwargs)
    with monkeypatch.context() as m:
        m.setattr(f'gan_nbdev.{where}.{name}', full)
        with pytest.raises(OSError, match='No space'): later.save(tmp_path/'run', replace=True)
        if name == 'save_file':
            with pytest.raises(OSError, match='No space'): own(3).keep(tmp_path/'run').fit(1, progress=False)
    assert files(tmp_path/'run') == before and state(Run.open(tmp_path/'run')) == state(old)
    later.save(tmp_path/'run', replace=True)
    assert state(Run.open(tmp_path/'run')) == state(later) and load_run(tmp_path/'run')[2]['story'] == later.story


class _Fails:
    def __init__(self, error): self.error = error
    def after_iteration(self, trainer): raise self.error


@pytest.mark.parametrize('forced', [False, True])
@pytest.mark.parametrize('where', ['engines.checkpoints.write_checkpoint', 'run_folders._save_rows', MemoryError(), FloatingPointError(), KeyboardInterrupt()], ids=str)
def test_a_run_that_fails_in_its_first_iteration_leaves_the_folder_as_it_was(tmp_path, monkeypatch, where, forced):
    (tmp_path/'run').mkdir()
    if forced: own(0).save(tmp_path/'run')
    before, run = files(tmp_path/'run'), Run(own(1).begun, own(1).trainer.data)
    def full(path, *_, **__): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as m, pytest.raises(OSError if isinstance(where, str) else type(where)):
        if isinstance(where, str): m.setattr(f'gan_nbdev.{where}', full)
        else: run.trainer.hooks.append(_Fails(where))
        run.keep(tmp_path/'run', every=5).fit(7, progress=False)
    assert files(tmp_path/'run') == before and forced == any((tmp_path/'run').iterdir())
    run = Run(own(1).begun, own(1).trainer.data).keep(tmp_path/'run', every=5).fit(7, progress=False)
    assert sorted(p.name for p in files(tmp_path/'run')) == ['checkpoint-0000000005.safetensors', 'checkpoint-0000000007.safetensors', 'data.safetensors']
    assert state(Run.open(tmp_path/'run')) == state(run)


class _Stops:
    def before_fit(self, trainer, n): trainer.stop()


@pytest.mark.parametrize('n, hooks', [(0, []), (5, [_Stops()])], ids=['nothing to do', 'stopped'])
def test_a_run_that_makes_no_iteration_leaves_the_folder_as_it_was(tmp_path, n, hooks):
    new().fit(3, progress=False).save(tmp_path/'run')
    before, run = files(tmp_path/'run'), new()
    run.trainer.hooks += hooks
    run.keep(tmp_path/'run').fit(n, progress=False)
    assert files(tmp_path/'run') == before
    run.keep(tmp_path/'other').fit(n, progress=False)   # where there is nothing, it is kept
    assert run.iteration == 0 and state(Run.open(tmp_path/'other')) == state(run)


@pytest.mark.parametrize('longer', [False, True])
def test_a_run_that_goes_on_in_the_folder_of_another_replaces_all_of_it(tmp_path, longer):
    own(0).keep(tmp_path/'a').fit(5, progress=False).save(tmp_path/'a', replace=True)
    own(1).fit(20 if longer else 2, progress=False).save(tmp_path/'b')
    a, before = Run.open(tmp_path/'a'), files(tmp_path/'b')
    a.trainer.hooks.append(_Fails(FloatingPointError()))
    with pytest.raises(FloatingPointError): a.keep(tmp_path/'b').fit(5, progress=False)
    assert files(tmp_path/'b') == before
    a = Run.open(tmp_path/'a').keep(tmp_path/'b')
    a.fit(5, progress=False)
    assert state(Run.open(tmp_path/'b')) == state(a) and not (tmp_path/'b/config.json').exists()
    with pytest.warns(UserWarning, match='was not finished'): load_run(tmp_path/'b')


def test_what_is_kept_goes_where_it_was_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path); monkeypatch.setenv('HOME', str(tmp_path/'home'))
    run = new().keep('here', every=5)
    run.trainer.hooks.append(Checkpoints('there'))
    run.fit(5, progress=False)
    (tmp_path/'sub').mkdir(); monkeypatch.chdir(tmp_path/'sub')
    run.fit(5, progress=False)
    for folder in ('here/checkpoints', 'there'): assert checkpoint_files(tmp_path/folder)[-1][0] == 10
    own(0).keep('~/mine').fit(1, progress=False)
    assert Run.open('~/mine').iteration == Run.open(tmp_path/'home/mine').iteration == 3


def test_a_kill_while_rows_are_replaced_leaves_one_run_or_the_other(tmp_path, monkeypatch):
    import os, shutil
    from pathlib import Path
    old = own(0).fit(3, progress=False)
    old.save(tmp_path/'old')
    for way in ('keep', 'save'):
        n, new = 0, own(1)
        shutil.copytree(tmp_path/'old', tmp_path/way)
        def killed(f):
            def call(*args, **kwargs):
                nonlocal n
                n += 1
                shutil.copytree(tmp_path/way, tmp_path/f'{way}-{n}')
                return f(*args, **kwargs)
            return call
        with monkeypatch.context() as m:
            m.setattr(os, 'replace', killed(os.replace)); m.setattr(Path, 'unlink', killed(Path.unlink))
            if way == 'keep': new.keep(tmp_path/way).fit(2, progress=False)
            else: new.fit(2, progress=False).save(tmp_path/way, replace=True)
        seen = set()
        for i in range(1, n + 1):
            r = Run.open(tmp_path/f'{way}-{i}')
            seen.add(name := 'old' if torch.equal(r.trainer.data.x, old.trainer.data.x) else 'new')
            if name == 'old': assert state(r) == state(old)
            r.keep(tmp_path/f'{way}-{i}').fit(1, progress=False)
            assert state(Run.open(tmp_path/f'{way}-{i}')) == state(r)
        assert n > 8 and seen == {'old', 'new'} and not (tmp_path/way/'data-before.safetensors').exists()


def test_rows_that_are_there_are_not_written_again(tmp_path):
    own(0).save(tmp_path/'run')
    rows = tmp_path/'run/data.safetensors'
    before = rows.stat().st_ino, rows.stat().st_mtime_ns
    run = Run.open(tmp_path/'run').keep(tmp_path/'run').fit(2, progress=False)
    run.save(tmp_path/'run', replace=True)
    assert (rows.stat().st_ino, rows.stat().st_mtime_ns) == before
    own(1).save(tmp_path/'run', replace=True)
    assert rows.stat().st_mtime_ns > before[1]


def test_checkpoints_of_the_run_itself_stay(tmp_path):
    run = new().keep(tmp_path, every=5).fit(12, progress=False)
    run.trainer.hooks.clear()
    run.fit(1, progress=False)
    run.keep(tmp_path, every=5).save(tmp_path, replace=True)
    assert [i for i, _ in checkpoint_files(tmp_path/'checkpoints')] == [12, 13]


def test_a_picture_that_cannot_be_drawn_costs_no_run(tmp_path, monkeypatch):
    run = new().fit(2, progress=False)
    run.save(tmp_path/'run')
    monkeypatch.setattr('gan_nbdev.plots.plot_losses', lambda *_: 1/0)
    run.fit(1, progress=False)
    with pytest.warns(UserWarning, match='losses.png is not written: ZeroDivisionError: division by zero'):
        run.save(tmp_path/'run', replace=True)
    assert {p.name for p in (tmp_path/'run').glob('*.png')} == {'samples.png', 'value.png'}
    assert load_run(tmp_path/'run')[2]['story'] == [{'fit': 3}] and state(Run.open(tmp_path/'run')) == state(run)


def test_a_folder_that_another_writes_is_not_saved_to(tmp_path):
    run, held, done = new().fit(1, progress=False), threading.Event(), threading.Event()
    def hold():
        with writing(tmp_path/'run'): held.set(); done.wait(60)
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(60)
        with pytest.raises(ValueError, match='is being written by process'): run.save(tmp_path/'run')
        with pytest.raises(ValueError, match='is being written by process'):
            gan_train('ring', steps=1, out=tmp_path/'run')
        with pytest.raises(ValueError, match='is being written by process'): new().keep(tmp_path/'run').fit(1, progress=False)
    finally: done.set(); thread.join()
    assert not (tmp_path/'run').exists()
    run.save(tmp_path/'run')
    load_run(tmp_path/'run')


@pytest.mark.parametrize('more, entries', [
    (['k=2', 'seed=7', 'steps=0'], dict(k=2, seed=7)),
    (['game=minimax', 'engine=eager', 'precision=medium'], dict(game='minimax', precision='medium')),
    (['generator.hidden=[8, 4]', 'discriminator.hidden=[]'],
     {'generator.hidden': [8, 4], 'discriminator.hidden': []}),
    (['generator.norm=batch', 'generator.act=tanh', 'discriminator.dropout=0.3'],
     {'generator.norm': 'batch', 'discriminator.dropout': .3}),
    (['noise.name=uniform', 'noise.dim=5'], {'noise.name': 'uniform', 'noise.dim': 5}),
    (['data.n=5', 'data.std=0.1'], {'data.n': 5, 'data.std': .1}),
    (['data=grid'], {'data.name': 'grid'}),
    (['d_rule.lr=2e-4', 'd_rule.betas=[0, 0.9]'], {'d_rule.lr': 2e-4, 'd_rule.betas': [0, .9]}),
    (['g_rule.name=rmsprop', 'g_rule.alpha=0.9'], {'g_rule.name': 'rmsprop', 'g_rule.alpha': .9}),
    (['d_rule.schedule={}', 'g_rule.schedule.lr={"kind": "exponential", "factor": 0.999}'],
     {'g_rule.schedule.lr.factor': .999}),
    (['g_rule.schedule.lr.to=1e-5'], {'g_rule.schedule.lr.to': 1e-5}),
])
def test_set_changes_every_kind_of_entry(tmp_path, more, entries):
    gan_train(None if more == ['data=grid'] else 'ring', steps=None if 'steps=0' in more else 1, set=more, out=tmp_path/'run',
              device='cpu', quiet=True)
    e = Run.open(tmp_path/'run').begun
    assert {k: e[k] for k in entries} == entries


def test_a_description_alone_is_enough(tmp_path):
    (tmp_path/'mine.json').write_text(experiment('ring', **small, seed=4).json())
    gan_train(config=tmp_path/'mine.json', out=tmp_path/'run', quiet=True)
    run = Run(experiment('ring', **small, seed=4)).fit(60, progress=False)
    assert state(Run.open(tmp_path/'run')) == state(run)


def test_python_m(tmp_path):
    def m(*args, module='gan_nbdev'): return python_m(module, *args, cwd=tmp_path)
    r = m('train', 'ring', '--steps', 2, '--set', 'k=2', '--batch_size', 16, '--set', 'seed=3',
          'g_rule.lr=1e-4', '--quiet', '--device', 'cpu')
    assert r.returncode == 0, r.stderr
    e = Run.open(tmp_path/'runs/ring').begun
    assert (e['k'], e['seed'], e['g_rule.lr'], e['batch_size']) == (2, 3, 1e-4, 16)
    r = m('sample', 'runs/ring', '--n', 3, '--out', 'x.csv')
    assert r.returncode == 0 and len((tmp_path/'x.csv').read_text().splitlines()) == 3
    assert 'modes_total' in json.loads(m('eval', 'runs/ring', '--json').stdout)
    r = m('train', 'ring', '--k', 0, '--out', 'new')
    assert (r.returncode, r.stderr.count('\n')) == (2, 1) and r.stderr.startswith('gan-train: error: k must')
    r = subprocess.run([sys.executable, '-m', 'gan_nbdev', '--help'], cwd=tmp_path, capture_output=True, text=True)   # from nothing
    assert r.returncode == 0 and '{train,sample,eval,study}' in r.stdout
    assert m('study', '--help').returncode == 0
    r = m('tarin')
    assert r.returncode == 2 and 'usage: python -m gan_nbdev' in r.stderr
    before = sorted(tmp_path.rglob('*'))
    r = m('ring', '--steps', 1, module='gan_nbdev.cli')
    assert (r.returncode, r.stderr.count('\n')) == (2, 1) and 'python -m gan_nbdev train' in r.stderr
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('kept', [False, True])
def test_a_run_with_a_hook_that_has_a_state_is_not_written(tmp_path, kept):
    run = new()
    run.trainer.hooks.append(EarlyStop(lambda trainer: 1.))
    if kept: run.keep(tmp_path/'r')
    else: run.fit(2, progress=False)
    with pytest.raises(ValueError, match='run.trainer has the hook .*EarlyStop.* whose state'):
        run.fit(2, progress=False) if kept else run.save(tmp_path/'r', measured={})
    assert run.iteration == 2*(not kept) and not (tmp_path/'r/config.json').exists() and not (tmp_path/'r/checkpoints').exists()


def test_a_run_that_a_hook_steered_is_not_saved(tmp_path):
    class Halves:
        def after_iteration(self, trainer): trainer.g_opt.param_groups[0]['lr'] /= 2
    run = Run(experiment('ring', **{**small, 'g_rule': {'name': 'adam', 'lr': 1e-3}}))
    run.trainer.hooks.append(Halves())
    run.fit(2, progress=False)
    with pytest.raises(ValueError, match='has g_rule.lr 0.00025, not 0.001, of which the story knows nothing'): run.save(tmp_path/'r', measured={})


def test_parts_of_ones_own_are_asked_for_where_they_can_be_given(tmp_path):
    game = games['hinge'].with_(d_terms=dict(more=lambda x, D: D(x).mean()*.01))
    falling = Rule(torch.optim.SGD, lr=1e-2, scheduler=lambda o: torch.optim.lr_scheduler.StepLR(o, 5))
    for name, part in dict(game=game, d_rule=falling).items():
        e = experiment('ring', **{**small, name: part, 'steps': 4})
        run = Run(e).fit(4, progress=False)
        run.save(folder := tmp_path/name)
        for f in (lambda: Run.open(folder), lambda: gan_train(out=folder, resume=True, steps=9, quiet=True)):
            with pytest.raises(ValueError, match=rf"the {name} \(.*own, which no folder holds: build its trainer in Python, and trainer.load\(latest_checkpoint"): f()
        for f in (lambda: Run.again(folder), lambda: gan_train(config=folder, out=tmp_path/'new', quiet=True)):
            with pytest.raises(ValueError, match=rf"the {name} \(.*own, which no folder holds: give it in Python, as Run.again"): f()
        assert not (tmp_path/'new').exists()
        t = e.trainer().load(latest_checkpoint(folder/'checkpoints')).fit(3, progress=False)
        again = Run.again(folder, {name: part}).go_on().fit(3, progress=False)
        assert state(Run(e, trainer=t)) == state(again) == state(run.fit(3, progress=False))
    later = new().fit(2, progress=False).change({'game': game})
    later.save(tmp_path/'later')
    for f in (Run.open, Run.again):
        with pytest.raises(ValueError, match=r'the game \(.* which no folder holds'): f(tmp_path/'later')


class Clamp:
    def after_iteration(self, trainer):
        with torch.no_grad():
            for p in trainer.gan.discriminator.parameters(): p.clamp_(-.05, .05)


def test_hooks_of_ones_own_are_told(tmp_path):
    run = new()
    run.trainer.hooks.append(Clamp())
    run.fit(4, progress=False)
    run.trainer.hooks.clear()   # it has done its work
    run.fit(1, progress=False).save(folder := tmp_path/'a')
    assert '# trainer.hooks: your own, Clamp\n' in run.code() and read_record(folder)['hooks'] == ['Clamp']
    with pytest.raises(ValueError, match=r"a was trained with hooks of the user's own \(Clamp\), which no folder holds: run = Run.again"): Run.repeat(folder)
    with pytest.warns(UserWarning, match=r"hooks of the user's own \(Clamp\)"): opened = Run.open(folder)
    assert opened.record()['hooks'] == ['Clamp'] and state(opened) == state(run)
    with pytest.warns(UserWarning, match=r"hooks of the user's own \(Clamp\)"): again = Run.again(folder)
    assert 'hooks' not in again.record() and 'hooks' not in new().record()


def test_samples_that_overflow_lose_no_run(tmp_path):
    huge = Samples(np.random.default_rng(0).normal(0, 1e37, (100, 2)).astype('f4'), name='huge')
    run = Run(experiment(huge, **small)).fit(3, progress=False)
    with torch.no_grad(): run.trainer.gan.generator[-1].bias += 1e3
    assert not run.trainer.sample(2500).isfinite().all()
    with pytest.warns(UserWarning, match='there are no figures of the samples: ValueError: samples must be finite, but row'): run.save(tmp_path)
    def refuse(constant): raise AssertionError(constant)
    said = json.loads((tmp_path/'metrics.json').read_text(), parse_constant=refuse)
    assert said['iterations'] == 3 and 'final_value' in said and 'precision' not in said
    assert {'weights.safetensors', 'history.csv', 'config.json', 'losses.png'} <= {p.name for p in tmp_path.iterdir()}
    assert state(Run.open(tmp_path)) == state(run)


def test_a_way_to_the_datas_units_that_fails_loses_no_run(tmp_path):
    def fails(*_): raise RuntimeError('no such units')
    own = type('Own', (Samples,), dict(items=fails))(rows.x)
    run = new(own).fit(2, progress=False)
    with pytest.warns(UserWarning, match='samples.png is not written: RuntimeError: no such units'): run.save(tmp_path)
    assert (tmp_path/'config.json').is_file() and not (tmp_path/'samples.png').exists()


def test_figures_that_json_lacks_are_written_as_null(tmp_path):
    run = Run(experiment('ring', steps=2, engine='eager')).fit(2, progress=False)
    run.save(tmp_path/'r', measured=dict(mine=float('nan'), far=float('inf'), one=1.))
    assert json.loads((tmp_path/'r/metrics.json').read_text(), parse_constant=pytest.fail) == dict(mine=None, far=None, one=1.)
