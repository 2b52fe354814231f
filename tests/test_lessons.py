"""Every sentence of a lesson that claims something, against runs of the lesson's own settings from five seeds."""
import math, re
from copy import deepcopy
from functools import lru_cache
from types import SimpleNamespace

import pytest
import torch

from gan_nbdev.games.table import games
from gan_nbdev.lab.course import lessons, play_lesson
from gan_nbdev.lab.scenes import Scene
from gan_nbdev.metrics import cell_shares, coverage
from gan_nbdev.value import LOG4

seeds = range(5)

class Play:
    "A lesson played from one seed, and what was to be seen on the way"
    def __init__(self, name, seed, **changes):
        self.run, self.seen = play_lesson(name, 1, seed=seed, **changes), {}
    @property
    def trainer(self): return self.run.trainer
    @property
    def V(self): return self.trainer.history['value']
    def at(self, n):
        "What there is to see at iteration `n`"
        if n not in self.seen:
            self.run.fit(n - self.run.iteration)
            gan = deepcopy(self.trainer.gan)
            self.seen[n] = SimpleNamespace(gan=gan, fakes=self.trainer.sample(1000), same=moved(self.trainer, gan))
        return self.seen[n]

def moved(trainer, gan):
    "Where the same noise is carried at any time"
    z = gan.noise.sample(500, torch.Generator().manual_seed(0), 'cpu')
    return trainer.data.unscale(gan.generate(z))

@lru_cache(None)
def play(name, seed, changes=()):
    return Play(name, seed, **dict(changes))

def clouds(p, n, least=.01):
    "How many hold at least this share of the fakes"
    fakes = p.at(n).fakes
    near, which = p.trainer.data.mahalanobis(fakes).min(1)
    return int((which[near <= 3].bincount() >= max(least*len(fakes), 1)).sum())

def arrows(p, n, game):
    "The mean length of the arrows as they are drawn, pixels"
    scene = Scene(p.trainer.gan, p.trainer.data)
    v = torch.from_numpy(scene.frame(p.at(n).gan, games[game], ('arrows',))['arrows'])*torch.tensor(scene.pull)
    l = v.norm(dim=1)
    return (26*l/(1 + l)).mean().item()

def D(p, n, x):
    "What D says of places, data units"
    return p.at(n).gan.prob(p.trainer.data.scale(torch.as_tensor(x).float()))

@lru_cache(None)
def continued(name, seed, changes, n):
    "The lesson's run, from iteration `n` on with other settings"
    base, p = play(name, seed), Play(name, seed)
    base.at(n)
    assert base.run.iteration == n
    p.trainer.load_state_dict(deepcopy(base.trainer.state_dict()))
    p.seen = dict(base.seen)
    p.run.change(dict(changes))
    return p

claims = {}
def says(lesson, sentence):
    "The function gets a seed, and gives figures that must all be true of their conditions"
    def keep(f):
        claims[lesson, sentence] = f
        return f
    return keep

def within(**figures):
    "name=(low, value, high): what is not so is told with its number"
    wrong = {k: v for k, (low, v, high) in figures.items() if not low <= v <= high}
    print({k: round(float(v), 4) for k, (_, v, _) in figures.items()})
    assert not wrong, wrong
inf = math.inf

# ---- healthy

@says('healthy', 'First D gets ahead, and V rises above −log 4.')
def _(seed):
    p = play('healthy', seed); p.at(60)
    within(first=(-LOG4 - .15, p.V[0], -LOG4 + .15), then=(-LOG4 + .2, p.V[20:60].mean(), 0))

@says('healthy', 'Then the fakes find the clouds, and V falls back towards −log 4.')
def _(seed):
    p = play('healthy', seed); good = [coverage(p.at(n).fakes, p.trainer.data).high_quality for n in (60, 400)]
    within(V=(-LOG4 - .05, p.V[350:].mean(), p.V[20:60].mean() - .1), in_clouds=(good[0] + .1, good[1], 1))

@says('healthy', 'By iteration 400 there are fakes in at least six of the eight clouds, and many still lie between them.')
def _(seed):
    p = play('healthy', seed)
    within(clouds=(6, clouds(p, 400), 8), between=(.2, 1 - coverage(p.at(400).fakes, p.trainer.data).high_quality, .9))

@says('healthy', 'Not by V: a D that knows nothing has V = −log 4 as well.')
def _(seed): within(first=(-LOG4 - .15, play('healthy', seed).V[0], -LOG4 + .15))

# ---- saturation

@says('saturation', 'Between iterations 20 and 100 D knows the fakes: the mean of D(G(z)) is below 0.05, and V is above −0.1.')
def _(seed):
    p = play('saturation', seed)
    within(**{f'D{n}': (0, D(p, n, p.at(n).fakes).mean(), .05) for n in (20, 60, 100)}, V=(-.1, p.V[20:].min(), 0))

@says('saturation', 'The arrows are too short to be seen, and the fakes stand still.')
def _(seed):
    p = play('saturation', seed)
    within(**{f'px{n}': (0, arrows(p, n, 'minimax'), .5) for n in (20, 60, 100)},
           way=(0, (p.at(20).same - p.at(100).same).norm(dim=1).max(), .1))

@says('saturation', 'Set the game to non-saturating, without a reset: long arrows appear at once, and 100 iterations later '
      'the fakes are far from where they stood.')
def _(seed):
    p = continued('saturation', seed, (('game', 'non-saturating'),), 100)
    within(px=(10, arrows(p, 100, 'non-saturating'), 26), way=(.3, (p.at(200).same - p.at(100).same).norm(dim=1).mean(), inf))

# ---- collapse

def width(x): return (x - x.median(0).values).norm(dim=1).median()   # of the inner half, from the middle

@says('collapse', 'Between iterations 100 and 300 its fakes are one heap, less than half as wide as the ring.')
def _(seed):
    p = play('collapse', seed)
    within(**{f'width{n}': (0, width(p.at(n).fakes), .4) for n in (100, 150, 200, 250, 300)},
           ring=(.9, width(p.trainer.data.sample(1000)), 1.1))

@says('collapse', 'The heap runs from place to place, D always behind it.')
def _(seed):
    p = play('collapse', seed)
    way = [p.at(n).fakes.mean(0) for n in (100, 150, 200, 250, 300)]
    within(way=(1., sum((a - b).norm() for a, b in zip(way, way[1:])), inf))

@says('collapse', 'V says nothing of it: it stays close to −log 4.')
def _(seed):
    p = play('collapse', seed); p.at(300)
    V = torch.as_tensor(p.V[100:300]).reshape(10, 20).mean(1)     # a minibatch is small
    within(low=(-LOG4 - .1, V.min(), 0), high=(-inf, V.max(), -LOG4 + .1))

@says('collapse', 'Set the rate of D to 0.01 and that of G to 0.001, without a reset: 300 iterations later the fakes are in at least three clouds.')
def _(seed):
    p = continued('collapse', seed, (('d_rule.lr', 1e-2), ('g_rule.lr', 1e-3)), 300)
    within(clouds=(3, clouds(p, 600), 8))

# ---- oscillation

def swings(p, start, end):
    "The largest distance of G from the point, asked for every ten iterations"
    way = {n: p.at(n).same.mean(0).norm().item() for n in range(10, end + 1, 10)}
    return max(v for n, v in way.items() if n >= start)

@says('oscillation', 'Each player pulls the other past the solution, and they go round it for ever: '
      'after 400 iterations G swings as far as at the start.')
def _(seed):
    p = play('oscillation', seed)
    last, first = swings(p, 310, 400), swings(p, 10, 100)
    way = torch.stack([p.at(n).same.mean(0) for n in range(10, 401, 10)])
    within(ratio=(.8, last/first, 1.25), past=(4, turns(way), inf))

def turns(way):
    "How often G goes through the point, or past it: changes of sign along the direction in which it moves most"
    along = way @ torch.linalg.svd(way - way.mean(0), full_matrices=False).Vh[0]
    return int((along[1:]*along[:-1] < 0).sum())

@says('oscillation', 'Not a smaller rate: with half of it they go round half as fast, and as far.')
def _(seed):
    p, half = play('oscillation', seed), play('oscillation', seed, (('d_rule.lr', .05), ('g_rule.lr', .05)))
    size, its = swings(p, 10, 400), swings(half, 10, 400)
    ways = [torch.stack([o.at(n).same.mean(0) for n in range(10, 401, 10)]) for o in (p, half)]
    within(size=(.8, its/size, 1.25), late=(.8, swings(half, 210, 400)/its, 1),
           speed=(.3, turns(ways[1])/turns(ways[0]), .7))

@says('oscillation', 'Set the game to r3gan, which has such a price, without a reset: they spiral in, and after 400 iterations '
      'less than a tenth of the distance is left.')
def _(seed):
    swings(play('oscillation', seed), 10, 400)
    p = continued('oscillation', seed, (('game', 'r3gan'),), 400)
    within(left=(0, swings(p, 790, 800)/swings(p, 10, 400), .1))

# ---- strong_d

def rates(name):
    e = lessons[name].experiment
    return e['d_rule.lr'], e['g_rule.lr'], e['k']

@says('strong_d', 'D takes three steps for each step of G, at fifty times its rate.')
@says('collapse', 'G learns at ten times the rate of D.')
@says('k', 'Both players learn at the same high rate, and D takes one step for each step of G: k = 1.')
def _(seed):
    d, g, k = rates('strong_d')
    assert k == 3 and round(d/g) == 50
    d, g, k = rates('collapse')
    assert round(g/d) == 10
    d, g, k = rates('k')
    assert d == g and k == 1

@says('strong_d', 'At iterations 150 and 200 the fakes are in one or two clouds, '
      'and V is above −0.8: D is right about more than four items in five.')
def _(seed):
    p = play('strong_d', seed)
    for n in (150, 200):
        real = p.trainer.data.sample(1000, torch.Generator().manual_seed(seed))
        right = (D(p, n, real) > .5).float().mean() + (D(p, n, p.at(n).fakes) < .5).float().mean()
        within(clouds=(1, clouds(p, n), 2), V=(-.8, p.V[n - 30:n].mean(), 0), right=(.8, right/2, 1))

@says('strong_d', 'In the middle of every cloud without fakes D is above 0.9, and no fake goes there: '
      'G feels the slope of D only where its fakes are.')
def _(seed):
    p = play('strong_d', seed); m = p.trainer.data.means
    far = {n: p.trainer.data.mahalanobis(p.at(n).fakes) for n in (150, 200)}   # of each fake from each cloud, in σ
    empty = [i for i in range(8) if not (far[150].argmin(1) == i).any()]
    within(empty=(5, len(empty), 7), D=(.9, D(p, 150, m[empty]).min(), 1), far=(6, far[200][:, empty].min(), inf))

@says('strong_d', 'Set k to 1, the rate of D to 0.005 and that of G to 0.001, and press Reset: at iteration 400 the fakes are in at least six clouds.')
def _(seed):
    within(clouds=(6, clouds(play('strong_d', seed, (('k', 1), ('d_rule.lr', 5e-3), ('g_rule.lr', 1e-3))), 400), 8))

# ---- k

@says('k', 'The fakes wander about, and between iterations 100 and 250 they are never in more than four of the clouds at once.')
def _(seed):
    p = play('k', seed)
    within(**{f'clouds{n}': (0, clouds(p, n, 0), 4) for n in range(100, 251, 5)},
           way=(.3, sum((p.at(n).fakes.mean(0) - p.at(n + 50).fakes.mean(0)).norm() for n in (100, 150, 200)), inf))

@says('k', 'With k = 4 the fakes are in at least five clouds at iteration 100.')
def _(seed): within(clouds=(5, clouds(play('k', seed, (('k', 4),)), 100), 8))

@says('k', 'As many steps with k = 1 lead to iteration 250, and there they are in three at most.')
def _(seed): within(clouds=(0, clouds(play('k', seed), 250), 3))

# ---- noise

def filled(p, n):
    "The share of a hundred cells of the square in which there are fakes"
    return (cell_shares(p.at(n).fakes, torch.tensor([[-.5, .5]]*2), 10)[:-1] > 0).float().mean()

@says('noise', 'G can only bend a line: at iteration 200 the fakes lie along a thread, '
      'and more than half of the square has none.')
def _(seed):
    p = play('noise', seed)
    gan, x = p.at(200).gan, torch.linspace(-2.5, 2.5, 4000)[:, None]
    steps = p.trainer.data.unscale(gan.generate(x)).diff(dim=0).norm(dim=1)
    within(thread=(0, steps.max(), .02), filled=(0, filled(p, 200), .5))

@says('noise', 'Set the noise size to 2: at iteration 200 the fakes reach more than two thirds of the square.')
def _(seed): within(filled=(2/3, filled(play('noise', seed, (('noise.dim', 2),)), 200), 1))

# ---- memorising

@says('memorising', 'At iteration 400 the fakes lie at the five more than twice as often as points of the circle would.')
def _(seed):
    p = play('memorising', seed); m = p.trainer.data.means.float()
    turn = torch.rand(10_000, generator=torch.Generator().manual_seed(0))*2*math.pi
    def near(x): return (torch.cdist(x.float(), m).min(1).values < .12).float().mean()
    within(copies=(2., near(p.at(400).fakes)/near(torch.stack([turn.cos(), turn.sin()], 1)), inf))

# ---- games

@says('games', 'The same data, networks, rates and seed as in the healthy run: only the losses differ.')
def _(seed):
    assert {*lessons['games'].experiment.differences(lessons['healthy'].experiment)} == {'game'}

@says('games', 'At iteration 400 least-squares, minimax and '
      'non-saturating all have fakes in at least six of the eight clouds.')
def _(seed):
    plays = {g: play('games', seed, (('game', g),)) for g in ('least-squares', 'minimax')}
    within(**{g: (6, clouds(p, 400), 8) for g, p in plays.items()}, healthy=(6, clouds(play('healthy', seed), 400), 8))

@says('games', 'V and the probabilities D(x) exist only where D is asked for a probability: least-squares and hinge have none.')
def _(seed):
    for g in ('least-squares', 'hinge'): assert not {'value', 'd_real'} & {*games[g].shows}
    for g in ('minimax', 'non-saturating'): assert {'value', 'd_real'} <= {*games[g].shows}

# ---- drawing

def off(p, x): return torch.cdist(x.double(), p.trainer.data.means.double()).min(1).values

@says('drawing', 'At iteration 300 more than three quarters of the fakes lie on them.')
def _(seed):
    p = play('drawing', seed)
    within(on=(.75, (off(p, p.at(300).fakes) < .12).double().mean(), 1))

@says('drawing', 'The lattice of noise is torn nowhere: it reaches across the gaps.')
@says('drawing', 'On the way from a z that lands on one stroke to a z that lands on the other, '
      'G passes between them.')
def _(seed):
    p = play('drawing', seed); gan, data = p.at(300).gan, p.trainer.data
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    x = data.unscale(gan.generate(z))
    ends = [z[(side*x[:, 1] > .2) & (off(p, x) < .08)][0] for side in (-1, 1)]
    way = data.unscale(gan.generate(torch.lerp(*ends, torch.linspace(0, 1, 20_001)[:, None])))
    within(between=(.15, off(p, way).max(), inf), torn=(0, way.diff(dim=0).norm(dim=1).max(), .02))

# ---- digits

def digit_means(data): return torch.stack([data.x[data.labels == c].mean(0) for c in range(10)])

@says('digits', 'At iteration 300 more than a third of them are nearest to the mean of the digit that was asked for, where chance would be a tenth.')
def _(seed):
    p = play('digits', seed); data = p.trainer.data
    y = torch.arange(1000) % 10
    x = p.at(300).gan.sample(1000, torch.Generator().manual_seed(0), y)
    within(right=(1/3, (torch.cdist(x, digit_means(data)).argmin(1) == y).float().mean(), 1))

@says('digits', 'At this time it does not copy: fakes lie farther from the nearest example than examples do from each other.')
def _(seed):
    p = play('digits', seed); x = p.trainer.data.x
    between = torch.cdist(x, x).fill_diagonal_(inf).min(1).values.mean()
    fakes = p.at(300).gan.sample(500, torch.Generator().manual_seed(0), torch.arange(500) % 10)
    within(ratio=(1., torch.cdist(fakes, x).min(1).values.mean()/between, inf))

@pytest.mark.parametrize('lesson, sentence', claims, ids=str)
def test_claim(lesson, sentence):
    o = lessons[lesson]
    assert sentence in ' '.join((o.text, o.answer, o.next))
    for seed in seeds: claims[lesson, sentence](seed)

# What tells of the settings, defines, argues, asks or instructs: there is nothing in it to be measured.
plain = {
    'Look at the fakes, or at what does not depend on D: the number of clouds, the divergence from the data.',
    'Rewind to 0 and go through the first iterations one by one: what does D learn before G moves far?',
    'G descends log(1 − D(G(z))) by plain gradient steps, and D is much the quicker of the two.',
    'G feels only how its loss changes with a fake.',
    'By the logit of D, log(1 − D) has the slope −D, which is nearly 0 here; −log D has the slope −(1 − D), nearly −1.',
    'If D stood still, the best that G could do would be to send every z to the one place where D is highest: '
    'its loss does not ask for variety.',
    'Only a D that follows quickly makes a crowded place a bad one.',
    'The data are one point, G is one point that it can move, and D is linear: the smallest game there is.',
    'What helps is a gradient penalty on D, which is friction for this pendulum.',
    'No.', 'Here it is.', 'Compare k = 1 with k = 4.',
    'Then leave k at 1 and lower the rate of G: does that help as well?',
    'The data fill a square, and the noise is one number.',
    'It could wind the thread more tightly, but what a network makes of a line is a line, and has no area.',
    'A circle was meant, but five of its points are all the data there are.',
    'It has learned what it was shown.',
    'p_data is the distribution of the examples, and the game ends where p_g = p_data: with copies.',
    'That a circle was meant is nowhere in the data.', 'Draw more points of the circle, one by one.',
    'How many does it take until you would call it a circle?',
    'By what does not depend on the game: the fakes, the clouds that they reach, the divergence from the data.',
    'Compare two games of your choice.', 'Does the same one win with another seed?',
    'Two strokes of a pen are the data.', 'The noise is in one piece, and a continuous G cannot tear it.',
    'Clear, and draw something of your own.', 'What is hard for G: sharp corners, gaps, crossings?',
    'Both networks are told which digit is meant, and the fakes are of 0 to 9 in turn.',
    'Turn on “nearest”, and let it train on: do the fakes and their nearest examples become more alike?'}

@pytest.mark.parametrize('lesson', lessons)
def test_every_sentence_is_checked_or_claims_nothing(lesson):
    o = lessons[lesson]
    for part in (o.text, o.answer, o.next):
        left = part
        for l, sentence in claims:
            if l == lesson: left = left.replace(sentence, '\n')
        for s in re.split(r'(?<=[.?]) |\n', left): assert not s.strip() or s.strip() in plain, s
