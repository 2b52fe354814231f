"""Kills a training process again and again, and looks whether anything is lost.

    python tests/torture.py                            200 kills, a summary
    python tests/torture.py --kills 6 --seed 1         fewer
    python tests/torture.py --report benchmarks/torture.md

Each run trains in a process of its own, which SIGKILL ends: one kill of nine at its start, four
anywhere, four when the temporary file of a checkpoint is seen, so as to strike while one is
written. The next process resumes from the latest checkpoint, until the run is complete. Then its
state, every tensor and number of it, is compared with that of a run that was never killed.
"""
import argparse
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
import torch._dynamo   # as the first step would in every process
from torch.utils.data import TensorDataset

from gan_nbdev.engines.checkpoints import (Checkpoints, checkpoint_files, latest_checkpoint, pack,
                                   read_checkpoint)
from gan_nbdev.data import normal, ring
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.algorithm import Rule, adam, linear, momentum_sgd
from gan_nbdev.trainer import EMA, EarlyStop, Trainer

steps, every = 400, 20
rows = torch.arange(300.).view(100, 3) % 7
kinds = {
    'Adam with a schedule, ring, batch norm, dropout, EMA':
        (ring(), dict(d_rule=adam(linear(1e-2, 0, 400)), g_rule=adam())),
    'momentum, table in memory, minimax, k = 2':
        (Samples(rows), dict(d_rule=momentum_sgd(0.05), k=2, game='minimax',
                             g_rule=momentum_sgd(0.05, linear(.5, .7, 99)))),
    'RMSprop and AdamW, streamed data':
        (Stream(TensorDataset(rows)), dict(d_rule=Rule(torch.optim.RMSprop, lr=1e-3, momentum=0.5),
                                           g_rule=Rule(torch.optim.AdamW, lr=1e-3))),
}


def trainer(kind):
    data, settings = kinds[kind]
    gan = GAN(mlp_generator(2, data.dim, (16,), norm='batch', seed=0),
              mlp_discriminator(data.dim, (16,), dropout=0.3, seed=1), normal(2))
    t = Trainer(gan, data, batch_size=32, device='cpu', engine='eager', **settings)
    t.hooks = [EMA(gan), EarlyStop(lambda t: -abs(t.iteration - 250), every=50, patience=10**6)]
    return t


class Tell:
    "Writes the iteration to memory that outlives the process"
    def __init__(self, shared): self.shared = shared
    def after_iteration(self, trainer): self.shared[:8] = struct.pack('<Q', trainer.iteration)


def live(kind, folder, shared):
    "What a process does: go on from the latest checkpoint, to the end"
    torch.set_num_threads(1)
    t = trainer(kind)
    if checkpoint_files(folder): t.load(latest_checkpoint(folder))
    t.hooks += [Tell(shared), Checkpoints(folder, every)]
    t.fit(steps - t.iteration, progress=False)


def spawn(*args):
    pid = os.fork()
    if pid: return pid
    status = 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')   # a damaged checkpoint would be one
            live(*args)
        status = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    os._exit(status)


def ended(pid):
    done, status = os.waitpid(pid, os.WNOHANG)
    return None if not done else os.waitstatus_to_exitcode(status)


def kill_once(pid, folder, shared, rng):
    "Kill the process at its start, anywhere, or while it writes; its status, and whether it wrote"
    aim = rng.choice(['start'] + ['anywhere', 'write']*4)
    late, begun = rng.uniform(0, 0.3), time.monotonic()
    target = reached(shared) + rng.randint(1, 2*every)
    while (status := ended(pid)) is None:
        if aim == 'start': strike = time.monotonic() - begun > late
        else: strike = reached(shared) >= target
        if strike and aim == 'write': strike = any(folder.glob('.checkpoint-*'))
        if strike:
            time.sleep(rng.uniform(0, 2e-4 if aim == 'write' else 2e-3))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -signal.SIGKILL, any(folder.glob('.checkpoint-*'))
    return status, False


def reached(shared): return struct.unpack('<Q', shared[:8])[0]


def bits(a, b):
    "How many bits differ between two states"
    (tree_a, a), (tree_b, b) = pack(a), pack(b)
    if json.dumps(tree_a) != json.dumps(tree_b) or a.keys() != b.keys(): return -1
    def flat(x): return x.contiguous().view(-1).view(torch.uint8).tolist()
    return sum(bin(u ^ v).count('1') for k in a for u, v in zip(flat(a[k]), flat(b[k])))


def run_to_the_end(kind, kills, rng, tally):
    "One run, killed up to `kills` times; its final state"
    folder = Path(tempfile.mkdtemp(prefix='torture-'))/'run'
    shared = mmap.mmap(-1, 8)
    try:
        while True:
            pid = spawn(kind, folder, shared)
            if kills:
                status, wrote = kill_once(pid, folder, shared, rng)
            else: status, wrote = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), False
            if status == 0: break
            if status != -signal.SIGKILL: raise SystemExit(f'the process ended by itself: {status}')
            kills -= 1
            tally['kills'] += 1
            tally['while a checkpoint was written'] += wrote
            there = 0
            if checkpoint_files(folder):
                there = read_checkpoint(checkpoint_files(folder)[-1][1])[1]['iteration']
            lost = reached(shared) - there
            tally['most iterations lost'] = max(tally['most iterations lost'], lost)
            shared[:8] = struct.pack('<Q', there)
        files = checkpoint_files(folder)
        assert [i for i, _ in files] == [steps - every, steps] and len(os.listdir(folder)) == 2
        return read_checkpoint(files[-1][1])[0]
    finally: shutil.rmtree(folder.parent)


def torture(kills, seed):
    "Run after run until there were `kills` kills; the figures by name"
    rng, tally = random.Random(seed), {}
    tally.update({'kills': 0, 'while a checkpoint was written': 0, 'runs completed': 0,
                  'most iterations lost': 0, 'bits that differ': 0})
    whole = {kind: run_to_the_end(kind, 0, rng, tally) for kind in kinds}
    while tally['kills'] < kills:
        kind = list(kinds)[tally['runs completed'] % len(kinds)]
        end = run_to_the_end(kind, min(20, kills - tally['kills']), rng, tally)
        tally['runs completed'] += 1
        tally['bits that differ'] += abs(bits(whole[kind], end))
    return tally


def page(tally, seconds):
    "The figures as a page"
    from machine import machine
    return '\n'.join(['# Killed at random', '', f'Written by `tests/torture.py`. {machine()}.', '',
        'Whether a run that is killed and resumed ends with the same bits. '
        f'Runs of {steps} iterations with a checkpoint every {every}: {"; ".join(kinds)}. '
        'SIGKILL at random moments, four of nine aimed at the writing of a checkpoint. Every '
        'time the run was resumed from its latest checkpoint; at its end all of its state was '
        'compared with that of a run that was never killed.', '',
        '| | |', '|:--|--:|', *(f'| {k} | {v} |' for k, v in tally.items()),
        f'| seconds | {seconds:.0f} |', ''])


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--report', type=Path, help='file to write the figures to')
    args = parser.parse_args()
    start = time.monotonic()
    tally = torture(args.kills, args.seed)
    seconds = time.monotonic() - start
    print('\n'.join(f'{k}: {v}' for k, v in tally.items()))
    if args.report:
        sys.path.insert(0, str(Path(__file__).parent.parent/'benchmarks'))
        args.report.write_text(page(tally, seconds))
    lost = tally['bits that differ'] or tally['most iterations lost'] > every
    sys.exit(f'something was lost: {tally}' if lost else 0)
