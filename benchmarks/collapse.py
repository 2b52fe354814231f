"""Which cure helps against mode collapse?

Two settings that lose modes, one where G outruns D (on the ring) and one where D is ahead (on the grid),
each as it is and with one thing changed at a time, for seeds 0 to 7 and 0 to 3, which train as ensembles
in one thread. Writes collapse.json and collapse.md, which theory/04_collapse shows.

    python benchmarks/collapse.py [ring|grid] [CURE …]
"""
import json
import sys
import time
from pathlib import Path

import torch
from machine import machine, spread, table
from gan_nbdev.all import Ensemble, coverage, experiment, grid, jsd, jsd_floor, perfect_share, ring

seeds = dict(ring=8, grid=4)

def setting(data, steps, g_rate, d_hidden):
    return experiment(data, recipe='points', steps=steps, batch_size=64, device='cpu', engine='eager',
                      **{'noise.dim': 2, 'discriminator.hidden': d_hidden, 'g_rule.lr': g_rate,
                         'd_rule.schedule.lr.share': .5, 'g_rule.schedule.lr.share': .5})

settings = {'ring': setting(dict(name='ring', std=.05), 1500, 1e-3, [64, 64]),
            'grid': setting('grid', 3000, 3e-4, [128, 128, 128])}

def game(name='non-saturating', **options): return {'game': dict(name=name, **options) if options else name}

def cures(data):
    "Name -> changes of a setting"
    e = settings[data]
    steps, rate, wide = e['steps'], e['g_rule.lr'], [2*n for n in e['discriminator.hidden']]
    critic = {'d_rule.betas': [.5, .9], 'g_rule.betas': [.5, .9]}
    every = {'as it is': {}, 'twice as long': {'steps': 2*steps}, 'k = 3': {'k': 3}, 'k = 5': {'k': 5},
             'rate of G: a third': {'g_rule.lr': rate/3}, 'rate of G: a tenth': {'g_rule.lr': rate/10},
             'rate of G: three times': {'g_rule.lr': 3*rate},
             'D twice as wide': {'discriminator.hidden': wide}, 'D as large as G': {'discriminator.hidden': [128]*3},
             'packs of 2': {'pack': 2}, 'packs of 4': {'pack': 4},
             'minibatch of 256': {'batch_size': 256}, 'EMA, half-life 200': {'ema': 200.},
             'noise 0.3, fading': game(noise=.3, noise_until=2*steps//3), 'R1, γ = 0.1': game(r1=.1),
             'looking ahead, 5 steps': game(unroll=5, unroll_rate=.01),
             'hinge': game('hinge'), 'relativistic': game('relativistic'), 'r3gan': game('r3gan'),
             'wgan-gp, λ = 10, k = 3': {**game('wgan-gp'), 'k': 3, **critic},
             'wgan-gp, λ = 0.1, k = 3': {**game('wgan-gp', weight=.1), 'k': 3, **critic}}
    left_out = {'k = 5', 'rate of G: a tenth', 'D as large as G', 'looking ahead, 5 steps'} if data == 'grid' else ()
    return {k: v for k, v in every.items() if k not in left_out}

shown = 'as it is', 'k = 3', 'R1, γ = 0.1', 'packs of 2'   # whose samples are kept for the picture


def begun(e, n):
    trainers = [e.changed({'seed': s}).trainer() for s in range(n)]
    return trainers, Ensemble(trainers, 'eager')


def run(e, n, keep):
    trainers, runs = begun(e, n)
    runs.fit(e['steps'], progress=False)
    out = dict(modes=[], good=[], jsd=[], V=[], failed=len(runs.failed))
    for i, t in enumerate(trainers):
        if i in runs.failed: continue
        x = t.sample(2500); c = coverage(x, t.data); v = t.history.get('value')
        out['modes'].append(c.modes); out['good'].append(c.high_quality); out['jsd'].append(jsd(x, t.data))
        if v is not None: out['V'].append(float(v[-len(v)//10:].mean()))
    if keep: out['points'] = [[round(o, 2) for o in row] for row in trainers[0].sample(300).tolist()]
    return out


def cost(e, cured, n, rounds=5, steps=50):
    "How many times as long a run takes: blocks of both by turns, the median of the ratios"
    def seconds(runs):
        start = time.process_time()
        runs.fit(steps, progress=False)
        return time.process_time() - start
    both = [begun(o, n)[1] for o in (cured, e)]
    for runs in both: runs.fit(10, progress=False)
    ratios = sorted(seconds(both[0])/seconds(both[1]) for _ in range(rounds))
    return round(ratios[rounds//2]*cured['steps']/e['steps'], 2)


def row(name, o):
    return [name, ', '.join(map(str, o['modes'])) + f' ({o["failed"]} NaN)'*(o['failed'] > 0), spread(o['good'], '{:.0%}'),
            spread(o['jsd'], '{:.2f}'), spread(o['V'], '{:.2f}').replace('-', '−'), f'{o["time"]:.1f}']


def page(known):
    head = ['changed', 'modes, seed by seed', 'within 3σ', 'JSD (nats)', 'V at the end', 'time']
    words = {'ring': f"""Seeds 0 to {seeds['ring'] - 1}. 8 Gaussians of σ = 0.05. G: three layers of 128, D: two of 64; both at a rate of 0.001, {settings['ring']['steps']:,} \
iterations. The JSD of a perfect sampler is {jsd_floor(2500, ring(std=.05)):.3f} nats.""", 'grid': f"""Seeds 0 to {seeds['grid'] - 1}. 25 Gaussians of σ = 0.05. G and D: three layers \
of 128; D at a rate of 0.001, G at 0.0003, {settings['grid']['steps']:,} iterations. The JSD of a perfect sampler is {jsd_floor(2500, grid()):.3f} nats."""}
    parts = [f'## The {data}\n\n{words[data]}\n\n' + table(head, [row(k, known[data][k]) for k in cures(data) if k in known[data]])
             for data in settings if known.get(data)]
    return f"""# Cures of mode collapse

Which changes help where a GAN collapses or misses modes. Each row changes one thing; those of wgan-gp also k and Adam's βs (0.5 and 0.9), and the last the weight λ of its penalty, 10 as its authors have it. Minibatches of 64, Adam, learning rates that fall to 0 in \
the second half; 2,500 samples per run. Figures are means ± standard error; modes are listed by seed. A perfect sampler has {perfect_share(2):.0%} \
within 3σ of a mode. V is the mean over the last tenth of the run, where the game has one. Time is relative to the first row, by turns with it. A mode counts if a single sample lies within 3σ of it, so where few samples do, many modes mean little.

{chr(10).join(parts)}
Measured on {machine()}; written by `benchmarks/collapse.py`.
"""


if __name__ == '__main__':
    torch.set_num_threads(1)
    here, asked = Path(__file__).parent, sys.argv[1:]
    path = here/'collapse.json'
    known = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    for data, e in settings.items():
        if {*asked} & {*settings} and data not in asked: continue
        some = [o for o in asked if o not in settings]
        for name, changes in cures(data).items():
            if some and name not in some: continue
            o = run(e.changed(changes), seeds[data], name in shown) | dict(time=cost(e, e.changed(changes), seeds[data]))
            known.setdefault(data, {})[name] = o
            print(data, name, {k: v for k, v in o.items() if k != 'points'}, flush=True)
            path.write_text(json.dumps(known) + '\n', encoding='utf-8')
    (here/'collapse.md').write_text(text := page(known), encoding='utf-8')
    print(text)
