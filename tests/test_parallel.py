"""Several processes against one. This file is also the script that they run, under torchrun:
`torchrun … test_parallel.py FOLDER STORY`; each saves in FOLDER what it found."""
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from gan_nbdev.data import normal, ring
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.parallel import launch, parallel, processes, rank
from gan_nbdev.samples import Samples, Stream
from gan_nbdev.trainer import EMA, Trainer, adam, linear, momentum_sgd

rows = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))


class Flow(IterableDataset):
    def __iter__(self): return iter(rows)


datas = dict(distribution=ring(), memory=Samples(rows),
             stream=Stream(TensorDataset(rows), scale=None), flow=Stream(Flow()))


class Rescaled(nn.Module):
    "Of one's own: a buffer that each process would fill with what it has seen itself"
    def __init__(self):
        super().__init__()
        self.register_buffer('seen', torch.zeros(3))

    def forward(self, x):
        if self.training: self.seen = 0.9*self.seen + 0.1*x.detach().mean(0)
        return x


def images():
    return nn.Sequential(nn.Unflatten(1, (1, 1, 3)), nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Tanh(),
                         nn.Flatten(), nn.Dropout(0.3), nn.Linear(12, 1))


def make(rule='sgd', norm=None, dropout=0.3, data='distribution', rate=1., seed=0, nets=0, m=48,
         discriminator=None, **kw):
    "A trainer with m = 48; `nets` is the seed of its weights"
    torch.manual_seed(nets)
    data, rules = datas[data], dict(sgd=momentum_sgd(linear(0.02*rate, 0.01*rate, 200), 0.5),
                                    adam=adam(linear(1e-3*rate, 5e-4*rate, 200)))
    how = dict(act='tanh', norm=norm, dropout=dropout)
    G = mlp_generator(2, data.dim, (16,), seed=nets, **how)
    D = discriminator() if discriminator else mlp_discriminator(data.dim, (16,), seed=nets + 1, **how)
    return Trainer(GAN(G, D, normal(2)), data, batch_size=m, d_rule=rules[rule], g_rule=rules[rule],
                   seed=seed, device='cpu', **kw)


cases = dict(plain=dict(dropout=0.), sgd=dict(), adam=dict(rule='adam'), batch_norm=dict(norm='batch'),
             medium=dict(precision='medium'), memory=dict(data='memory', k=3),
             stream=dict(data='stream', k=3, norm='batch'), flow=dict(data='flow'),
             images=dict(data='memory', discriminator=images))


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
    return out | dict(rng=t.rng.get_state(), source=torch.tensor([*t.source.state_dict().values()]))


def deviation(a, b):
    "The largest difference, relative to the largest number of its kind; the rest must be the same"
    assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}
    worst = 0.
    for k in a:
        u, v = (o[k].sqrt() if 'exp_avg_sq' in k else o[k] for o in (a, b))
        if k in ('rng', 'source'): assert torch.equal(u, v), k
        elif u.numel(): worst = max(worst, ((u - v).abs().max()/u.abs().max().clamp(min=1e-9)).item())
    return worst


def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---- what the processes do


class Asks:
    "After iteration `at` rank `who` asks to stop, by a call or by the stop button"
    def __init__(self, at, who, button): self.at, self.who, self.button = at, who, button
    def after_iteration(self, trainer):
        if (trainer.iteration, rank()) != (self.at, self.who): return
        if self.button: os.kill(os.getpid(), signal.SIGINT)
        else: trainer.stop('enough')


class Counts:
    "Blocks as rank 0 and others see them; rank 1 is slow"
    def __init__(self): self.ends = []
    def after_block(self, trainer):
        self.ends.append(trainer.iteration)
        time.sleep(0.05*rank())


def agreement(folder):
    "All cases, after 1 and after 100 iterations"
    for name, kw in cases.items():
        t = make(**kw, nets=rank() if name == 'sgd' else 0)   # other weights: those of rank 0 count
        yield f'{name} 1', found(fit(t, 1))
        yield f'{name} 100', found(fit(t, 99))
        if name == 'adam': torch.save(t.state_dict(), folder/f'from {processes()} at rank {rank()}.pt')


def going_on(folder):
    "100 more iterations, from every state that lies in the folder"
    for path in sorted(folder.glob('from * at rank 0.pt')):
        t = make(rule='adam', seed=5)
        t.load_state_dict(torch.load(path, weights_only=True))
        yield path.name, found(fit(t, 100))


def stopping(folder):
    for who in (0, 1):
        for button in (False, True):
            t = fit(make(hooks=[Asks(7, who, button)]), 10**6)
            yield f'{t.iteration} {bool(t.stopped)} {t.stopped if rank() == who else ""}', found(t)


def blocks(folder):
    t = make(hooks=[Counts(), ema := None] if False else [])
    counts = Counts()
    t.hooks = [counts, e := EMA(t.gan, 10)]
    fit(t, 400)
    yield 'ends', dict(ends=torch.tensor(counts.ends))
    yield 'average', dict(e.gan.state_dict())


def said(f, error):
    try: f()
    except error as e: return str(e)


def refusals(folder):
    for kw in (dict(engine='compiled'), dict(m=49), dict(seed=rank()), dict(m=48 + 2*rank()),
               dict(k=1 + rank())):
        t = make(**kw)
        why = said(lambda: fit(t, 5), ValueError)
        assert t.iteration == 0 and why
        yield why, {}


def poisoned(folder):
    "NaN in the data of rank 1, from the fifth minibatch on"
    t = make()
    draw, n = t.source.next, iter(range(1000))
    t.source.next = lambda: draw()*(float('nan') if next(n) >= 4 and rank() == 1 else 1)
    why = said(lambda: fit(t, 50), FloatingPointError)
    yield why, {c: torch.tensor(v) for c, v in t.history.items()}
    assert t.iteration == len(t.history['value']) == 4


def own_buffers(folder):
    D = nn.Sequential(Rescaled(), nn.Linear(3, 1))
    t = fit(make(data='memory', discriminator=lambda: D), 5)
    yield 'buffers', found(t)


class Boom(nn.Module):
    "Fails at its 20th call on rank 1"
    n = 0
    def forward(self, x):
        self.n += 1
        if self.n == 20 and rank() == 1: raise KeyError('a bug of mine')
        return x


class Fails:
    def __init__(self, when): setattr(self, when, self.fail)
    def fail(self, trainer):
        if trainer.iteration >= 20 and rank() == 1: raise KeyError('a bug of mine')


def dies(where):
    net = nn.Sequential(nn.Linear(2, 1), Boom()) if where == 'network' else nn.Linear(2, 1)
    hooks = [] if where == 'network' else [Fails(where)]
    fit(make(discriminator=lambda: net, hooks=hooks), 10**6)


stories = agreement, going_on, stopping, blocks, refusals, poisoned, own_buffers


def main(folder, *names):
    with parallel():
        for name in names:
            if name.startswith('dies'): dies(name.split()[1])
            seen = {f'{name}: {k}': v for k, v in globals()[name](folder)}
            torch.save(seen, folder/f'{name} {processes()} {rank()}.pt')


if __name__ == '__main__': main(Path(sys.argv[1]), *sys.argv[2:])
