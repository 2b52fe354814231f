"Weights under two names: a network may tie its own, the two players may not share any."
import copy, pickle, re

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import gan_nbdev.engines.choice as lib
from gan_nbdev.algorithm import Rule, adam, momentum_sgd
from gan_nbdev.data import normal, ring
from gan_nbdev.engines.compiled import has_compiler
from gan_nbdev.engines.ensemble import Ensemble
from gan_nbdev.engines.recorded import Recorded
from gan_nbdev.experiments import Experiment
from gan_nbdev.games.combinations import unrolled
from gan_nbdev.games.table import games
from gan_nbdev.networks import GAN, mlp_discriminator, mlp_generator
from gan_nbdev.run_folders import Run
from gan_nbdev.trainer import EMA, Trainer


class Twice(nn.Module):
    "Two layers with the weights of one, the second transposed, beside a layer that is used twice"
    def __init__(self, n_in, n_out):
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(n_in, 8), nn.Linear(8, 8), nn.Linear(8, n_out)
        self.back = nn.Linear(8, 8)
        self.back.weight = self.inner.weight
        self.again = self.inner
        self.norm = self.same = nn.BatchNorm1d(8)
    def forward(self, x):
        x = torch.tanh(self.norm(self.inner(torch.tanh(self.first(x)))))
        return self.last(self.same(torch.tanh(self.back(self.again(x)))))


def tied_mlp(make, *sizes):
    net = make(*sizes, (8, 8, 8), act='tanh', seed=0)
    net[4].weight = net[2].weight
    return net


kinds = dict(module=lambda: (Twice(2, 2), Twice(2, 1)),
             mlp=lambda: (tied_mlp(mlp_generator, 2, 2), tied_mlp(mlp_discriminator, 2)))


def make(kind='module', rule=adam(1e-3), seed=0, **kw):
    torch.manual_seed(0)
    return Trainer(GAN(*kinds[kind](), normal(2)), ring(), batch_size=16, d_rule=rule, g_rule=rule, seed=seed,
                   device='cpu', **kw)


def fit(t, n): return t.fit(n, progress=False)
def same(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def ties(net):
    "Names that mean the same parameter"
    names = {}
    for k, p in net.named_parameters(remove_duplicate=False): names.setdefault(p, []).append(k)
    return sorted(o for o in names.values() if len(o) > 1)


@pytest.mark.parametrize('kind', kinds)
def test_a_run_is_saved_and_its_weights_are_loaded(tmp_path, kind):
    t, other = fit(make(kind), 3), make(kind)
    Run(Experiment.of(t), trainer=t).save(tmp_path/'run')
    saved = load_file(tmp_path/'run/weights.safetensors')
    assert same(saved, t.gan.state_dict())
    other.gan.load_state_dict(saved)
    assert same(other.gan.state_dict(), saved) and ties(other.gan) == ties(t.gan) != []


@pytest.mark.parametrize('kind', kinds)
def test_a_checkpoint_goes_on_exactly(tmp_path, kind):
    t = fit(make(kind), 3)
    t.save(tmp_path/'c.safetensors')
    other = make(kind).load(tmp_path/'c.safetensors')
    copied, pickled = copy.deepcopy(t), pickle.loads(pickle.dumps(t))
    for o in (t, other, copied, pickled): fit(o, 3)
    for o in (other, copied, pickled):
        assert same(o.gan.state_dict(), t.gan.state_dict()) and ties(o.gan) == ties(t.gan) != []


def test_an_average_is_tied_too():
    t = make()
    t.hooks.append(ema := EMA(t.gan, 2.))
    fit(t, 3)
    G, mean = t.gan.generator, ema.gan.generator
    assert ties(mean) == ties(G) != [] and not torch.equal(mean.back.weight, G.back.weight)


def test_a_network_with_ties_is_its_owners():
    "No description makes it: one that says `mlp` would build another"
    for n in (0, 3):
        e = Experiment.of(fit(make('mlp'), n))
        assert e.is_own('generator') and e.is_own('discriminator')


def test_what_is_tied_counts_once():
    for kind in kinds:
        gan = make(kind).gan
        for who, rows in gan.tables().items():
            assert sum(n for *_, n in rows) == sum(p.numel() for p in getattr(gan, who).parameters())


rules = dict(adam=adam(1e-3), sgd=momentum_sgd(.02), decay=Rule(torch.optim.AdamW, lr=1e-3, weight_decay=.1))
without = pytest.mark.skipif(not has_compiler(), reason='needs a C++ compiler')


def far(a, b): return max((a[k].double() - b[k]).abs().max().item() for k in a)


@pytest.mark.parametrize('engine, rule, kind', [
    *[('recorded', rule, kind) for rule in rules for kind in kinds],
    pytest.param('compiled', 'adam', 'module', marks=without)])
def test_engines_agree(monkeypatch, engine, rule, kind):
    monkeypatch.setitem(lib.engines, 'recorded', Recorded)
    eager, other = (fit(make(kind, rules[rule], engine=e), 5) for e in ('eager', engine))
    assert far(eager.gan.state_dict(), other.gan.state_dict()) < 1e-5
    assert ties(other.gan) == ties(eager.gan) and eager.d_opt.state.keys() == {*eager.gan.discriminator.parameters()}


@pytest.mark.parametrize('kind', kinds)
def test_an_ensemble_agrees(tmp_path, kind):
    members = [make(kind, seed=i) for i in range(5)]
    fit(Ensemble(members, 'eager'), 5)
    for i, t in enumerate(members):
        alone = fit(make(kind, seed=i, engine='eager'), 5)
        assert far(alone.gan.state_dict(), t.gan.state_dict()) < 1e-5 and ties(t.gan) == ties(alone.gan)
    t = members[0]
    t.save(tmp_path/'c.safetensors')
    Run(Experiment.of(t), trainer=t).save(tmp_path/'run')
    assert same(load_file(tmp_path/'run/weights.safetensors'), t.gan.state_dict())


def layer(): return nn.Linear(2, 2)
def alias(p): return nn.Parameter(p.detach())   # another object, the same memory


def players(how):
    G, D = nn.Sequential(layer(), layer()), nn.Sequential(layer(), nn.Linear(2, 1))
    if how == 'layer': D[0] = G[1]
    elif how == 'weight': D[0].weight = G[1].weight
    elif how == 'memory': D[0].weight = alias(G[1].weight)
    elif how == 'transposed': D[0].weight = alias(G[1].weight.T)
    return G, D


@pytest.mark.parametrize('how', ['layer', 'weight', 'memory', 'transposed'])
def test_players_that_share_are_refused(how):
    said = 'generator.1.weight and discriminator.0.weight are the same numbers'
    with pytest.raises(ValueError, match=re.escape(said)) as e: GAN(*players(how), normal(2))
    assert '\n' not in str(e.value)


def test_players_may_have_a_constant_in_common():
    "What nobody moves: a buffer, or a parameter that is frozen"
    G, D = players(None)
    for net in (G, D): net[0].register_buffer('scale', torch.ones(2))
    D[0].scale = G[0].scale
    D[0].weight = G[1].weight.requires_grad_(False)
    t = fit(Trainer(GAN(G, D, normal(2)), ring(), batch_size=16, device='cpu'), 3)
    assert torch.equal(D[0].weight, G[1].weight) and t.iteration == 3


def test_lazy_layers_may_be_given():
    G, D = nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(2)), mlp_discriminator(2, (8,))
    assert GAN(G, D, normal(2)).dim == 2


@pytest.mark.parametrize('kind', kinds)
def test_a_game_that_lends_weights_gives_them_back(kind):
    "`unrolled` looks ahead with other weights in D"
    t = make(kind, game=unrolled(games['non-saturating'], 2))
    before = {k: id(p) for k, p in t.gan.named_parameters(remove_duplicate=False)}
    fit(t, 2)
    assert before == {k: id(p) for k, p in t.gan.named_parameters(remove_duplicate=False)} and ties(t.gan) != []
