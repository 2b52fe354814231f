"""Several processes against one. This file is also the script that they run:
`torchrun … test_parallel.py FOLDER STORY …`; each process saves in FOLDER what it found.
"""
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from gan_nbdev.engines.checkpoints import read_checkpoint, write_checkpoint
from gan_nbdev.data import normal, ring
from gan_nbdev.games.began import Reconstruction
from gan_nbdev.networks import GAN, mlp, mlp_discriminator, mlp_generator
from gan_nbdev.engines.parallel import Parallel, launch
from gan_nbdev.games.table import make_game
from gan_nbdev.support.folders import writing
from gan_nbdev.support.processes import parallel, processes, rank, talk
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.algorithm import adam, linear, momentum_sgd
from gan_nbdev.trainer import EMA, Trainer

# `deviation` says how far apart two runs are. Measured with torch 2.13 on AVX-512, for 2 processes
# against 1, without | with batch norm, which divides by the spread of a minibatch and so magnifies
# roundings of gradients: after 1 iteration 3.6e-7 | 6.0e-6 at most, after 100 1.3e-6 | 1.1e-5.
# The bounds are about ten times that and more, since another processor rounds otherwise. A rate that is
# 1 % off deviates by 4.2e-4 | 1.3e-4 at least after 1 iteration, 3.1e-2 | 5.1e-3 after 100. The tests stop at 50.
# A penalty on a slope magnifies them, too: 4.08e-6 after 1 iteration on another processor.
BOUND = {False: {1: 4e-6, 50: 2e-5}, True: {1: 5e-5, 50: 2e-4}}

rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))


class Flow(IterableDataset):
    def __iter__(self): return iter(rows)


datas = dict(distribution=ring(), memory=Samples(rows),
             stream=Stream(TensorDataset(rows), scale=None), flow=Stream(Flow()))


class Remembers(nn.Module):
    "A buffer that each process would fill with what it has seen itself"
    def __init__(self):
        super().__init__()
        self.register_buffer('seen', torch.zeros(3))

    def forward(self, x):
        if self.training: self.seen = 0.9*self.seen + 0.1*x.detach().mean(0)
        return x


class Boom(nn.Module):
    "A bug in a network, which shows at the 20th call on rank 1"
    n = 0
    def forward(self, x):
        self.n += 1
        if self.n == 20: fail()
        return x


def fail():
    if rank() == 1: raise KeyError('a bug of mine')


def images():
    return nn.Sequential(nn.Unflatten(1, (1, 1, 3)), nn.Conv2d(1, 4, (1, 2)), nn.BatchNorm2d(4),
                         nn.Tanh(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8, 1))


def make(rule='sgd', norm=None, dropout=0.3, data='distribution', rate=1., seed=0, nets=0, m=48,
         discriminator=None, device='cpu', **kw):
    "A trainer; `nets` is the seed of its weights, the other one that of data, noise and dropout"
    torch.manual_seed(nets)
    data, rules = datas[data], dict(sgd=momentum_sgd(linear(0.02*rate, 0.01*rate, 200), 0.5),
                                    clipped=momentum_sgd(0.1*rate, clip_gradient=0.05),
                                    adam=adam(linear(1e-3*rate, 5e-4*rate, 200)))
    how = dict(act='tanh', norm=norm, dropout=dropout)
    G = mlp_generator(2, data.dim, (16,), seed=nets, **how)
    D = discriminator or (lambda: mlp_discriminator(data.dim, (16,), seed=nets + 1, **how))
    return Trainer(GAN(G, D(), normal(2)), data, batch_size=m, d_rule=rules[rule],
                   g_rule=rules[rule], seed=seed, device=device, **kw)


class SetsMomentum:
    "At the end of a block; the next one must find it so"
    every = 5
    def after_block(self, t):
        if t.iteration == 5: t.d_opt.param_groups[0]['momentum'] = t.g_opt.param_groups[0]['momentum'] = .1


class Changes:
    every = 2
    def __init__(self, **new): self.new = new
    def after_block(self, t):
        if t.iteration == 2: t.change(**self.new)


# no batch norm with Adam, which makes whole steps of gradients that are 0 but for rounding
cases = dict(plain=dict(dropout=0.), sgd=dict(), clipped=dict(rule='clipped', dropout=0.), adam=dict(rule='adam'),
             batch_norm=dict(norm='batch'), minimax=dict(game='minimax', rule='adam', k=3),
             memory=dict(data='memory', k=3), stream=dict(data='stream', k=3),
             flow=dict(data='flow', norm='batch'), images=dict(data='memory', discriminator=images),
             penalty=dict(game=make_game('wgan-gp', weight=0.1), dropout=0.),
             noise=dict(game=make_game('non-saturating', noise=0.1, r1=0.1)),
             pairs=dict(game='relativistic', dropout=0.), set_by_a_hook=dict(hooks=[SetsMomentum()]),
             at_once=dict(order='simultaneous', dropout=0.), larger=dict(hooks=[Changes(batch_size=60)]))


def fit(t, n): return t.fit(n, progress=False)


def found(t):
    "All that a trainer holds: flat tensors by kind"
    out = {c: torch.tensor(v) for c, v in t.history.items()}
    for who, opt in (('discriminator', t.d_opt), ('generator', t.g_opt)):
        net = getattr(t.gan, who)
        named = [('parameters', p.detach()) for p in net.parameters()]
        named += [(n.split('.')[-1], b) for n, b in net.named_buffers()]
        named += [o for own in opt.state.values() for o in own.items()]
        kinds = {}
        for kind, v in named: kinds.setdefault(f'{who} {kind}', []).append(v.flatten().float())
        out |= {k: torch.cat(v) for k, v in kinds.items()}
    out |= dict(rng=t.rng.get_state(), source=torch.tensor([v for v in t.source.state_dict().values() if not isinstance(v, dict)]))
    return {k: v.cpu() for k, v in out.items()}


def deviation(a, b):
    "The largest difference, relative to the largest number of its kind; the rest must be the same"
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}
    worst = 0.
    for k in a:
        u, v = (o[k].sqrt() if 'exp_avg_sq' in k else o[k] for o in (a, b))
        if k in ('rng', 'source'): assert torch.equal(u, v), k
        elif u.numel(): worst = max(worst, ((u - v).abs().max()/u.abs().max().clamp(1e-9)).item())
    return worst


def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def write(state, path):
    write_checkpoint(path, state, iteration=state['iteration'], settings={}, versions={}, notes=None)


def read(path): return read_checkpoint(path)[0]


# ---- what the processes do: names of parts, and what was found in each


def agreement(folder):
    "Every case, after 1 and after 50 iterations"
    for name, kw in cases.items():
        t = make(**kw, nets=rank() if name == 'sgd' else 0)   # the weights of rank 0 count
        yield f'{name} 1', found(fit(t, 1))
        yield f'{name} 50', found(fit(t, 49))
        if name == 'adam' and rank() == 0: write(t.state_dict(), folder/'2.state')


def going_on(folder):
    "50 more iterations from each state"
    for n in (1, 2):
        t = make('adam', seed=5)
        t.load_state_dict(read(folder/f'{n}.state'))
        yield str(n), found(fit(t, 50))


def by_itself(folder, device='cpu'):
    "The engine of several processes where there is one: what it sends goes out and comes back"
    yield 'sum', dict(x=talk(dist.all_reduce, torch.arange(3., device=device)).cpu())
    for name in ('plain', 'batch_norm'):
        t = make(**cases[name], device=device)
        engine = Parallel(t)
        engine.begin(5)
        for _ in range(5): engine.step()
        t.write_down(engine.end())
        yield name, found(t)


def by_itself_on_a_gpu(folder): return by_itself(folder, 'cuda')   # by NCCL


class Asks:
    "A hook that asks to stop after iteration 7, by a call or by the stop button, on rank `who`"
    def __init__(self, who, button): self.who, self.button = who, button
    def after_iteration(self, trainer):
        if (trainer.iteration, rank()) != (7, self.who): return
        if self.button: os.kill(os.getpid(), signal.SIGINT)
        else: trainer.stop('enough')


def stopping(folder):
    for who in (0, 1):
        for button in (False, True):
            t = fit(make(hooks=[Asks(who, button)]), 10**6)
            if rank() == who: assert t.stopped == ('interrupted' if button else 'enough')
            else: assert t.stopped == 'stopped by another process'
            yield f'{who} {button}', found(t)


class Ends:
    "Where blocks end; the processes run at different speeds"
    def __init__(self): self.ends = []
    def after_block(self, trainer):
        self.ends.append(trainer.iteration)
        time.sleep(0.03*rank())


def hooks(folder):
    t = make()
    t.hooks = [ends, average] = [Ends(), EMA(t.gan, 10)]
    yield 'trainer', found(fit(t, 300))
    yield 'hooks', dict(ends=torch.tensor(ends.ends), **average.gan.generator.state_dict(), seen=torch.tensor(average.seen))


def refusals(folder):
    averaged = make_game('relativistic', averaged=True)
    for kw, why in ((dict(game='dragan'), 'd_loss is no mean over rows'),
                    (dict(game=averaged), 'd_loss is no mean over rows'),
                    (dict(engine='compiled'), "engine must be 'auto' or 'eager' in 2 processes"),
                    (dict(m=49), 'batch_size must be a multiple of 2, the number of processes'),
                    *((kw, 'the processes must begin alike') for kw in
                      (dict(seed=rank()), dict(m=48 + 2*rank()), dict(k=1 + rank())))):
        t = make(**kw)
        with pytest.raises(ValueError, match=why): fit(t, 5)
        assert t.iteration == 0
    yield 'all', {}


def poisoned(folder):
    "NaN in the data of rank 1, in the fifth minibatch"
    t = make()
    draw, n = t.source.next, iter(range(10**6))
    t.source.next = lambda: draw()*(float('nan') if (next(n), rank()) == (4, 1) else 1)
    with pytest.raises(FloatingPointError, match='NaN or infinite at iteration 5'): fit(t, 50)
    assert t.iteration == len(t.history['value']) == 4
    yield 'history', {c: torch.tensor(v) for c, v in t.history.items()}


class Mixes(nn.Module):
    def forward(self, x): return torch.cat([x, x.std(0).expand(len(x), -1)], 1)


class Noisy(nn.Module):
    def forward(self, x): return x + .1*torch.randn_like(x) if self.training else x


def not_shared_out(folder):
    "What one process would do and several would not: named, before anything has moved"
    spread = make_game('minimax').with_(figures=dict(spread=lambda fakes: fakes.std()))
    for layers, kw, why in (([Remembers(), nn.Linear(3, 1)], {}, '0.seen is another'),
                            ([Mixes(), nn.Linear(6, 1)], {}, 'd_loss is another'),
                            ([Noisy(), nn.Linear(3, 1)], {}, 'd_loss is another'),
                            ([nn.Linear(3, 8), nn.AlphaDropout(.5), nn.Linear(8, 1)], {}, 'd_loss is another'),
                            ([nn.Linear(3, 1)], dict(game=spread), 'spread is another'),
                            ([nn.Linear(3, 1)], dict(game=make_game(unroll=2)), 'unrolled')):
        t = make(data='memory', discriminator=lambda: nn.Sequential(*layers), **kw)
        with pytest.raises(ValueError, match=why): fit(t, 5)
        assert t.iteration == 0
    yield 'all', {}


class Fails:
    "A bug in a hook, after an iteration is done"
    def after_iteration(self, trainer):
        if trainer.iteration == 20: fail()


def bug_in_a_network(folder):
    fit(make(discriminator=lambda: nn.Sequential(nn.Linear(2, 1), Boom())), 10**6)


def bug_in_a_hook(folder): fit(make(hooks=[Fails()]), 10**6)


def killed(folder):
    fit(make(), 20)
    if rank() == 1: os.kill(os.getpid(), signal.SIGKILL)
    fit(make(), 10**6)


def main(folder, *stories):
    with parallel():
        for story in stories:
            seen = {f'{story}: {part}': v for part, v in globals()[story](folder)}
            torch.save(seen, folder/f'{story} {processes()} {rank()}')


# ---- the tests


def torchrun(n, *args, **kw):
    "Run a command in `n` processes"
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1', 'PATH': path,
           'PYTHONPATH': f'{Path(__file__).parent.parent}:{os.environ.get("PYTHONPATH", "")}'}
    cmd = [sys.executable, '-m', 'torch.distributed.run', '--standalone',
           '--local-addr', 'localhost', '--nproc-per-node', n, *args]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen([*map(str, cmd)], env=env, **pipes, **kw)


def finish(p):
    "Its exit status and what it said"
    try: out, err = p.communicate(timeout=120)
    finally: p.kill()
    return p.returncode, out, err


def tell(n, folder, *stories):
    "What each of the `n` processes found, by story and part"
    status, _, err = finish(torchrun(n, __file__, folder, *stories))
    assert status == 0, err
    seen = [[torch.load(folder/f'{story} {n} {r}', weights_only=True) for story in stories]
            for r in range(n)]
    return [{part: v for o in mine for part, v in o.items()} for mine in seen]


@pytest.fixture(scope='module')
def alone():
    "One process: every case, and one that goes on"
    out = {}
    for name, kw in cases.items():
        t = make(**kw)
        for n in (1, 50): out[f'{name} {n}'] = found(fit(t, n - t.iteration))
        if name == 'adam': state = t.state_dict(); out['on'] = found(fit(t, 50))
    return out, state


@pytest.fixture(scope='module')
def folder(tmp_path_factory, alone):
    d = tmp_path_factory.mktemp('parallel')
    write(alone[1], d/'1.state')
    return d


@pytest.fixture(scope='module')
def two(folder):
    return tell(2, folder, 'agreement', 'going_on', 'stopping', 'hooks', 'refusals', 'poisoned',
                'not_shared_out')


def test_processes_hold_the_same_to_the_bit(two):
    a, b = two
    assert len(a) > 25 and a.keys() == b.keys() and [k for k in a if not same(a[k], b[k])] == []


@pytest.mark.parametrize('n', (1, 50))
@pytest.mark.parametrize('name', cases)
def test_two_processes_agree_with_one(two, alone, name, n):
    kw, bound = cases[name], BOUND['norm' in cases[name] or name == 'images'][n]
    if (name, n) == ('penalty', 1): bound = 8e-6
    assert deviation(alone[0][f'{name} {n}'], two[0][f'agreement: {name} {n}']) < bound
    assert deviation(found(fit(make(**kw, rate=1.01), n)), alone[0][f'{name} {n}']) > bound


def test_goes_on_with_another_number_of_processes(folder, two, alone):
    three, bound = tell(3, folder, 'going_on'), BOUND[False][50]
    assert all(same(three[0][k], o[k]) for o in three for k in three[0])
    for seen in (two, three):
        for n in (1, 2): assert deviation(seen[0][f'going_on: {n}'], alone[0]['on']) < bound
    t = make('adam', seed=5)
    t.load_state_dict(read(folder/'2.state'))
    assert deviation(found(fit(t, 50)), alone[0]['on']) < bound


def test_stops_everywhere_after_the_iteration_in_which_one_asks(two):
    for who in (0, 1):
        for button in (False, True):
            for seen in two: assert len(seen[f'stopping: {who} {button}']['value']) == 7


@pytest.mark.parametrize('story, message', [
    ('bug_in_a_network', 'a bug of mine'), ('bug_in_a_hook', 'a bug of mine'),
    ('killed', 'SIGKILL')])
def test_the_failure_of_one_ends_all(tmp_path, story, message):
    status, _, err = finish(torchrun(2, __file__, tmp_path, story))
    assert status == 1 and message in err
    assert 'Root Cause' in err and 'rank      : 1' in err[err.index('Root Cause'):]


def gan_train(n, cwd, *args):
    return torchrun(n, '--no-python', 'gan-train', *args, '--device', 'cpu', '--out', n, cwd=cwd)


def test_gan_train_writes_the_same_run(tmp_path):
    history, config = {}, {}
    for n in (1, 2):
        status, out, err = finish(gan_train(n, tmp_path, 'ring', '--recipe', 'points', '--steps', 10))
        assert status == 0, err
        assert out.count('10 iterations on') == out.count('pictures:') == 1
        with open(tmp_path/f'{n}/history.csv') as f: lines = [*csv.reader(f)]
        history[n] = torch.tensor([[float(v) for v in o] for o in lines[1:]])
        config[n] = json.loads((tmp_path/f'{n}/config.json').read_text())
        assert config[n].pop('processes') == n
    assert {p.name for p in (tmp_path/'1').iterdir()} == {p.name for p in (tmp_path/'2').iterdir()}
    assert config[1] == config[2] and history[1].shape == (10, 6)
    # 2.4e-7. The recipe's networks magnify roundings: after 100 iterations the losses are 4e-3
    # apart, as they are in one process when its first weights are multiplied by 1 + 6e-8.
    assert (history[1] - history[2]).abs().max() < 3e-6
    more = 'ring', '--steps', 12, '--resume', '--quiet', '--out', 2
    subprocess.run([Path(sys.executable).parent/'gan-train', *map(str, more)], cwd=tmp_path,
                   check=True, capture_output=True)   # alone
    assert json.loads((tmp_path/'2/metrics.json').read_text())['iterations'] == 12


def test_gan_train_is_interrupted_and_refuses(tmp_path):
    p = gan_train(2, tmp_path, 'ring', '--steps', 10**6, '--checkpoint_every', 20)
    assert 'ring' in p.stdout.readline() and 'iterations' in p.stdout.readline()
    while p.poll() is None and not any((tmp_path/'2/checkpoints').glob('*[1-9]0.safetensors')):
        time.sleep(.01)
    p.send_signal(signal.SIGINT)
    _, out, err = finish(p)
    measured = json.loads((tmp_path/'2/metrics.json').read_text())
    assert measured['stopped'] == 'interrupted' and measured['iterations'] > 10
    status, _, err = finish(gan_train(2, tmp_path, 'ring', '--force', '--batch-size', 33))
    assert status == 1 and 'gan-train [rank 1]: error: batch_size must be a multiple of 2' in err
    assert json.loads((tmp_path/'2/metrics.json').read_text()) == measured
    with writing(tmp_path/'2'):   # the first process is refused, and none waits for it
        status, out, err = finish(gan_train(2, tmp_path, 'ring', '--force'))
    assert status == 1 and f'2 is being written by process {os.getpid()} on' in err
    assert json.loads((tmp_path/'2/metrics.json').read_text()) == measured


@pytest.mark.parametrize('device', ['cpu', pytest.param('cuda', marks=pytest.mark.gpu)])
def test_one_process_sends_to_itself(device, tmp_path):
    told, = tell(1, tmp_path, story := 'by_itself_on_a_gpu' if device == 'cuda' else 'by_itself')
    assert told[f'{story}: sum']['x'].tolist() == [0, 1, 2]
    for name in ('plain', 'batch_norm'):
        alone = found(fit(make(**cases[name], device=device), 5))
        assert deviation(told[f'{story}: {name}'], alone) < BOUND[name == 'batch_norm'][50]


def state_after(n): return fit(make('adam'), n).state_dict()


def test_launched_from_a_notebook(alone):
    state = launch(state_after, 2, 50)
    t = make('adam', seed=5)
    t.load_state_dict(state)
    assert deviation(found(t), alone[0]['adam 50']) < BOUND[False][50]


def of_classes(**kw):
    "A GAN with classes, trained a little"
    gan = GAN(mlp_generator(2, 3, (16,), seed=0, classes=2), mlp_discriminator(3, (16,), seed=1, classes=2), normal(2), classes=2)
    t = fit(Trainer(gan, Samples(rows, labels=torch.arange(200) % 2), batch_size=48, d_rule=momentum_sgd(0.02), g_rule=momentum_sgd(0.01),
                    device='cpu', **kw), 5)
    return torch.cat([p.detach().flatten() for p in t.gan.parameters()])


def refused(data=datas['memory'], m=8, d=None, game='minimax', ahead=0, **kw):
    "What is said of a training that cannot be shared out"
    t = Trainer(GAN(mlp_generator(2, 3, (4,), seed=0), d or mlp_discriminator(3, (4,), seed=1, **kw), normal(2), **kw), data, game,
                batch_size=m, device='cpu')
    for _ in range(ahead): t.source.next()
    try: fit(t, 1)
    except ValueError as e: return str(e)


def ahead_later():
    "What is said of a game that a hook brings in, which cannot be shared out"
    t = make(hooks=[Changes(game=make_game('minimax', unroll=2))])
    try: fit(t, 5)
    except ValueError as e: return f'{e} {t.iteration}'


def less_usual():
    t = make().fit(3)   # one of them shows how far it is
    left = len(t.d_opt._optimizer_step_pre_hooks) + len(t.g_opt._optimizer_step_pre_hooks)
    return of_classes(), left, [refused(datas['stream'], ahead=rank()), refused(m=6, pack=2),
                                refused(d=Reconstruction(mlp(3, 3, (4,))), game='began'), ahead_later()]


def test_classes_hooks_and_what_is_refused_in_two_processes():
    shared, left, said = launch(less_usual, 2)
    assert (shared - of_classes(engine='eager')).abs().max() < 1e-5 and left == 0
    for message, o in zip(('begin alike', 'times 2 items that D judges at once, not 6', 'no game may do more after a step of D',
                           'may be unrolled: each would look ahead by the gradient of its share 2'), said):
        assert message in str(o)


def test_a_launched_failure_is_shown():
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    with pytest.raises(ChildFailedError, match='a bug of mine'): launch(bug_in_a_network, 2, None)
    with pytest.raises(ValueError, match='n must be a whole number of at least 1, not 0'):
        launch(state_after, 0, 5)


def save_after(n, path):
    with parallel():
        state = state_after(n)
        if rank() == 0: write(state, path)
        assert processes() == 2


def test_launched_by_accelerate(folder, alone):
    accelerate = pytest.importorskip('accelerate')
    accelerate.notebook_launcher(save_after, (50, folder/'accelerate'), num_processes=2,
                                 use_port='29577')
    t = make('adam', seed=5)
    t.load_state_dict(read(folder/'accelerate'))
    assert deviation(found(t), alone[0]['adam 50']) < BOUND[False][50]


if __name__ == '__main__': main(Path(sys.argv[1]), *sys.argv[2:])
