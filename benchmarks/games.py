"""Does every game learn the ring?

Trains it with each game and its settings, for seeds 0 to 4, as `gan-train ring --game NAME` does, two
runs side by side, and writes games.md.

    python benchmarks/games.py [--processes 2] [GAME …]
"""
import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault('GOMP_SPINCOUNT', '300')  # as gan-train does

import torch
from machine import keep, known_in, spread, table, written
from gan_nbdev.all import coverage, experiment, games, jsd, jsd_floor, perfect_share, ring


def described(game, **more):
    "All games by the recipe for points; the ring's own, shorter one is for the usual game only"
    return experiment('ring', **({'recipe': 'points'} if game == 'non-saturating' else {'game': game}), **more)


def run(game, seed):
    torch.set_num_threads(1)
    e = described(game, seed=seed, device='cpu', engine='compiled')
    trainer = e.trainer()
    trainer.fit(1, progress=False)   # compiles
    start = time.process_time()   # of one thread: runs side by side do not count
    try: trainer.fit(e['steps'] - 1, progress=False)
    except FloatingPointError: return None
    seconds = time.process_time() - start
    x = trainer.sample(2500)
    c = coverage(x, trainer.data)
    return c.modes, c.high_quality, jsd(x, trainer.data), seconds


def row(game, results):
    done = [o for o in results['runs'] if o]
    if not done: return [game, 'NaN', '', '', '', settings(game)]
    modes, good, divergence, seconds = ([o[i] for o in done] for i in range(4))
    bad = len(results['runs']) - len(done)
    lost = f' ({bad} NaN)'*(bad > 0)
    return [game, spread(modes) + lost, spread(good, '{:.1%}'), spread(divergence, '{:.3f}'),
            f'{sum(seconds)/len(seconds)/results["beside"]:.1f}', settings(game)]


def settings(game):
    e, usual = described(game), described('non-saturating')
    return ', '.join(f'{k} {there}' for k, (_, there) in usual.differences(e).items()
                     if k not in ('game', 'game.name') and there is not None) or '–'


if __name__ == '__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('games', nargs='*', default=[*games])
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--seeds', type=int, default=5)
    args = parser.parse_args()
    here = Path(__file__).parent
    with ProcessPoolExecutor(args.processes) as pool:
        asked = {g: [pool.submit(run, g, s) for s in range(args.seeds)] for g in dict.fromkeys(['non-saturating', *args.games])}
        for g, runs in asked.items():
            results = [o.result() for o in runs]
            if g == 'non-saturating': beside = sum(o[3] for o in results)/len(results)   # it comes first
            print(g, results, flush=True)
            keep(here/'games.json', dict(runs=results, beside=beside), g)
    known = known_in(here/'games.json')
    e = described('non-saturating')
    text = f"""# The games on the ring of eight Gaussians

How well each game learns the ring by `gan-train ring --game NAME`, and the usual one by `--recipe points`. {e['steps']:,} iterations, m = {e['batch_size']}, seeds 0 to \
{min(len(o['runs']) for o in known.values()) - 1} or more, mean ± standard error. High quality is the share of 2,500 samples within 3σ of a mode (a perfect sampler: \
{perfect_share(2):.1%}); the JSD of a perfect sampler of so many is {jsd_floor(2500, ring()):.3f} nats. Time is that of a \
compiled iteration, with {args.processes} runs side by side, relative to the non-saturating game on the same day.

{table(['game', 'modes of 8', 'high quality', 'JSD (nats)', 'time', 'settings of its own'],
       [row(g, known[g]) for g in games if g in known])}
{written('games')}"""
    (here/'games.md').write_text(text)
    print(text)
