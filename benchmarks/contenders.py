"""GAN training by other means, for speed.py to time: PyTorch plain, four libraries on it, and JAX.

Every contender does the same work on a `Task`: an iteration is k steps of D, each on a fresh real
minibatch and fresh noise, and one step of G on fresh noise, by the non-saturating loss and Adam.
`contenders` holds those whose library is here; requirements.txt says how to get them all.
"""
import io
import logging
import math
import os
import tempfile
import time
import warnings
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial, reduce
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from gan_nbdev.data import ring
from gan_nbdev.datasets.files import mnist
from gan_nbdev.networks import (Maxout, evaluating, mlp_discriminator, mlp_generator,
                                paper_discriminator, paper_generator)

os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')  # JAX would take most of a GPU, which it shares with torch

try:
    import jax
    import optax
    from jax import lax, numpy as jnp
except ImportError:
    pass  # at the end of this file they are missed, and said to be

BETAS = 0.5, 0.999


# The tasks

@dataclass
class Task:
    "What is trained, and how"
    name: str
    x: torch.Tensor  # real rows (n, dim), float32, on the CPU
    nets: Callable   # gives (G, D), the same new ones at each call; D gives logits (m, 1)
    noise_dim: int
    noise: str       # 'normal', or 'uniform' in ±√3
    batch: int
    lr: float        # D's, and G's unless there is a `g_lr`
    device: str = 'cpu'
    g_lr: float = None
    falls: tuple = None  # (begin, n): both rates fall to 0 in n iterations from begin
    seed: int = 0        # of what is drawn

    def draw(self, n):
        "Noise for `n` fakes"
        z = torch.empty(n, self.noise_dim, device=self.device)
        return z.normal_() if self.noise == 'normal' else z.uniform_(-math.sqrt(3), math.sqrt(3))


def ring_task(device='cpu'):
    "Eight Gaussians in the plane and networks so small that what goes on around them shows"
    def nets():
        return mlp_generator(2, 2, (128, 128), seed=0), mlp_discriminator(2, (128, 128), seed=1)
    x = ring().sample(100_000, torch.Generator().manual_seed(0))
    return Task('ring', x, nets, 2, 'normal', 256, 1e-3, device)


def mnist_task(device='cpu'):
    "The paper's networks for MNIST: mostly matrix products"
    def nets(): return paper_generator(seed=0), paper_discriminator(seed=1)
    here = Path(__file__).resolve().parents[2]/'shared/data/mnist'
    folder = Path(os.environ.get('MNIST_DIR') or here)
    if folder.is_dir(): name, x = 'mnist', mnist(str(folder), n=50_000).x
    else:
        name = "random pixels in MNIST's shape"
        x = torch.rand(50_000, 784, generator=torch.Generator().manual_seed(0))
    return Task(name, x, nets, 100, 'uniform', 100, 2e-4, device)


# What those on PyTorch share

def d_loss(real, fake): return F.softplus(-real).mean() + F.softplus(fake).mean()
def g_loss(fake): return F.softplus(-fake).mean()


def adam(net, task, lr=None):
    return torch.optim.Adam(net.parameters(), lr=lr or task.lr, betas=BETAS)


def endless(loader):
    while True: yield from loader


def minibatches(task):
    "Random rows without end; faster than collating row by row, a minibatch is one index operation"
    data = TensorDataset(task.x.to(task.device))
    rows = BatchSampler(RandomSampler(data), task.batch, drop_last=True)
    return endless(DataLoader(data, batch_size=None, sampler=rows))


class Epoch:
    "The next `n` minibatches as what a library takes for a loader; it times its own use"
    def __init__(self, batches, now): self.batches, self.now, self.n = batches, now, 0

    def __len__(self): return self.n

    def __iter__(self):
        start = self.now()
        yield from islice(self.batches, self.n)
        self.seconds = self.now() - start  # only when one more than the last is asked for

    def to(self, device): return self  # fastai asks; the rows are there already


@contextmanager
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


class Torch:
    "A subclass has `build`, and `run`: the seconds of `n` iterations, without the library's start"
    modules, package = ('torch',), 'torch'

    def __init__(self, task, k=1):
        self.task, self.k = task, k
        self.G, self.D = (net.to(task.device) for net in task.nets())
        self.build()
        self.run(10)  # to be warm

    def now(self):
        "The time at which all that was asked of the device is done"
        if torch.device(self.task.device).type == 'cuda': torch.cuda.synchronize()
        return time.perf_counter()

    def sample(self, n):
        with evaluating(self.G.to(self.task.device)): return self.G(self.task.draw(n)).cpu()


# The contenders on PyTorch

class Plain(Torch):
    "The loop of the tutorials: D ends in a sigmoid, binary cross-entropy, both losses kept"
    def build(self):
        t = self.task
        self.D = nn.Sequential(self.D, nn.Sigmoid())
        loader = DataLoader(TensorDataset(t.x), batch_size=t.batch, shuffle=True, drop_last=True)
        self.batches, self.bce = endless(loader), nn.BCELoss()
        self.d_opt, self.g_opt = adam(self.D, t), adam(self.G, t, t.g_lr)
        begin, n = t.falls or (0, 0)
        def part(i): return 1 - min(max((i - begin)/n, 0), 1)
        opts = (self.d_opt, self.g_opt) if t.falls else ()
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(o, part) for o in opts]
        torch.manual_seed(t.seed)
        self.ones = torch.ones(t.batch, 1, device=t.device)
        self.zeros, self.losses = torch.zeros_like(self.ones), []

    def run(self, n):
        start = self.now()
        for _ in range(n):
            for _ in range(self.k): d = self.d_step()
            g = self.g_step()
            self.losses.append((d.item(), g.item()))
            for s in self.schedules: s.step()
        return self.now() - start

    def d_step(self):
        t, (x,) = self.task, next(self.batches)
        self.d_opt.zero_grad()
        fake = self.G(t.draw(t.batch))
        real_loss = self.bce(self.D(x.to(t.device)), self.ones)
        loss = real_loss + self.bce(self.D(fake.detach()), self.zeros)
        loss.backward()
        self.d_opt.step()
        return loss

    def g_step(self):
        self.g_opt.zero_grad()
        loss = self.bce(self.D(self.G(self.task.draw(self.task.batch))), self.ones)
        loss.backward()
        self.g_opt.step()
        return loss


def lightning_module(it):
    "The networks and steps of the contender `it` as a LightningModule; a batch is a step of D"
    from lightning import LightningModule

    class Module(LightningModule):
        automatic_optimization = False

        def __init__(self):
            super().__init__()
            self.G, self.D = it.G, it.D
            self.opts = adam(it.D, it.task), adam(it.G, it.task)

        def configure_optimizers(self): return self.opts  # the same in each fit
        def on_train_epoch_start(self): self.start = it.now()
        def on_train_epoch_end(self): self.seconds = it.now() - self.start

        def training_step(self, batch, i):
            d_opt, g_opt = self.optimizers()
            x, z = batch[0], it.task.draw(it.task.batch)
            self.step(d_opt, lambda: d_loss(self.D(x), self.D(self.G(z))))
            if (i + 1) % it.k: return
            z = it.task.draw(it.task.batch)
            self.step(g_opt, lambda: g_loss(self.D(self.G(z))))

        def step(self, opt, loss):
            self.toggle_optimizer(opt)  # the opponent's weights take no gradient
            opt.zero_grad()
            self.manual_backward(loss())
            opt.step()
            self.untoggle_optimizer(opt)

    return Module()


class Lightning(Torch):
    "PyTorch Lightning with manual optimisation, and all that can be off switched off"
    modules, package = ('lightning',), 'lightning'

    def build(self):
        logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
        self.module = lightning_module(self)
        self.epoch = Epoch(minibatches(self.task), self.now)

    def run(self, n):
        from lightning import Trainer
        self.epoch.n = n*self.k
        where = 'gpu' if torch.device(self.task.device).type == 'cuda' else 'cpu'
        with no_warnings():
            trainer = Trainer(max_epochs=1, accelerator=where, devices=1, barebones=True)
            trainer.fit(self.module, self.epoch)
        return self.module.seconds


class Ignite(Torch):
    "An Engine of pytorch-ignite whose update function does both steps"
    modules, package = ('ignite.engine',), 'pytorch-ignite'

    def build(self):
        from ignite.engine import Engine, Events
        self.d_opt, self.g_opt = adam(self.D, self.task), adam(self.G, self.task)
        self.epoch = Epoch(minibatches(self.task), self.now)
        self.engine, self.times = Engine(self.update), {}
        for event in (Events.STARTED, Events.COMPLETED):
            self.engine.add_event_handler(event, self.note, event)

    def note(self, event): self.times[event.name] = self.now()

    def update(self, engine, batch):
        t, G, D = self.task, self.G, self.D
        with torch.no_grad(): fake = G(t.draw(t.batch))
        losses = [self.step(self.d_opt, d_loss(D(batch[0]), D(fake)))]
        if engine.state.iteration % self.k == 0:
            D.requires_grad_(False)
            losses.append(self.step(self.g_opt, g_loss(D(G(t.draw(t.batch))))))
            D.requires_grad_(True)
        return losses

    def step(self, opt, loss):
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.detach()

    def run(self, n):
        self.epoch.n = n*self.k
        self.engine.run(self.epoch, max_epochs=1)
        return self.times['COMPLETED'] - self.times['STARTED']


class Fastai(Torch):
    "fastai's GANLearner; each step takes a minibatch of noise and data, of which G's lies idle"
    modules, package = ('fastai.vision.gan',), 'fastai'

    def build(self):
        from fastai.callback.progress import ProgressCallback
        from fastai.data.core import DataLoaders
        from fastai.optimizer import OptimWrapper
        from fastai.vision.gan import FixedGANSwitcher, GANLearner
        t = self.task
        pairs = ((t.draw(t.batch), x) for x, in minibatches(t))
        self.epoch = Epoch(pairs, self.now)
        data = DataLoaders(self.epoch, Epoch((), self.now), device=torch.device(t.device))
        # fastai's own Adam would move the opponent too, by its momentum
        opt = partial(OptimWrapper, opt=torch.optim.Adam, betas=BETAS)
        self.learner = GANLearner(
            data, self.G, self.D, lambda fake, *_: g_loss(fake), d_loss, opt_func=opt, lr=t.lr,
            switcher=FixedGANSwitcher(n_crit=self.k, n_gen=1), switch_eval=False)
        self.learner.remove_cb(ProgressCallback)

    def run(self, n):
        self.epoch.n = n*(self.k + 1)
        with no_warnings(), self.learner.no_logging(): self.learner.fit(1)
        return self.epoch.seconds


def torchgan_models(it):
    "The networks of the contender `it` as TorchGAN's Trainer wants them described"
    from torchgan.models import Discriminator, Generator

    def as_kind(kind, size, net):
        class Model(kind):
            def __init__(self):
                super().__init__(size)
                self.net = net
            def forward(self, v): return self.net(v)
        how = dict(name=torch.optim.Adam, args=dict(lr=it.task.lr, betas=BETAS))
        return dict(name=Model, optimizer=how)

    return dict(generator=as_kind(Generator, it.task.noise_dim, it.G),
                discriminator=as_kind(Discriminator, it.task.x.shape[1], it.D))


class TorchGAN(Torch):
    "TorchGAN's Trainer, which draws normal noise in any case, and records gradients as well"
    modules, package = ('torchgan.trainer',), 'torchgan'

    def build(self):
        from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
        from torchgan.trainer import Trainer
        self.folder = tempfile.TemporaryDirectory()
        self.epoch = Epoch((x for x, in minibatches(self.task)), self.now)
        self.epoch.batch_size = self.task.batch
        self.trainer = Trainer(
            torchgan_models(self), [MinimaxDiscriminatorLoss(), MinimaxGeneratorLoss()],
            device=torch.device(self.task.device), ncritic=self.k, epochs=1,
            checkpoints=f'{self.folder.name}/model', recon=self.folder.name)
        self.trainer.logger.logger_end_epoch.clear()  # its images want an older torchvision

    def run(self, n):
        self.epoch.n = n*self.k
        with redirect_stdout(io.StringIO()): self.trainer(self.epoch)
        return self.epoch.seconds


# JAX

def array(t): return jnp.asarray(t.detach().numpy())


def jax_layer(m, dot):
    "A torch layer as its weights and f(weights, x, key)"
    if isinstance(m, nn.Linear):
        return (array(m.weight.T), array(m.bias)), lambda w, x, key: dot(x, w[0]) + w[1]
    if isinstance(m, Maxout):
        def maxout(w, x, key):
            v = (dot(x, w[0]) + w[1]).reshape(len(x), m.pieces, m.n_out)
            return reduce(jnp.maximum, jnp.unstack(v, axis=1))
        return (array(m.linear.weight.T), array(m.linear.bias)), maxout
    if isinstance(m, nn.Dropout):
        def dropout(w, x, key):
            if key is None: return x
            return jnp.where(jax.random.bernoulli(key, 1 - m.p, x.shape), x/(1 - m.p), 0)
        return (), dropout
    if isinstance(m, nn.BatchNorm1d):  # by the minibatch's own statistics, always
        def batch_norm(w, x, key):
            x = x - x.mean(0)
            return x*lax.rsqrt((x*x).mean(0) + m.eps)*w[0] + w[1]
        return (array(m.weight), array(m.bias)), batch_norm
    if isinstance(m, nn.LeakyReLU):
        return (), lambda w, x, key: jax.nn.leaky_relu(x, m.negative_slope)
    if isinstance(m, nn.ReLU): return (), lambda w, x, key: jnp.maximum(x, 0)
    if isinstance(m, nn.Sigmoid): return (), lambda w, x, key: jax.nn.sigmoid(x)
    raise TypeError(f'no JAX for {m}')


def jax_net(net, dot):
    "A torch Sequential as its weights and f(weights, x, key); without a key nothing is dropped"
    weights, layers = zip(*(jax_layer(m, dot) for m in net))

    def f(weights, x, key=None):
        for i, (w, layer) in enumerate(zip(weights, layers)):
            x = layer(w, x, None if key is None else jax.random.fold_in(key, i))
        return x
    return weights, f


def float32_dot(x, w): return jnp.matmul(x, w, precision='highest')  # on a GPU JAX itself takes TF32


def bfloat16_dot():
    "A product of bfloat16 copies, accumulated in float32; so are those of its gradient"
    def product(a, b, i, j):
        return lax.dot_general(a, b, (((i,), (j,)), ((), ())), preferred_element_type=jnp.float32)

    @jax.custom_vjp
    def dot(x, w): return forward(x, w)[0]

    def forward(x, w):
        x, w = x.astype(jnp.bfloat16), w.astype(jnp.bfloat16)
        return product(x, w, 1, 0), (x, w)

    def backward(kept, dy):
        (x, w), dy = kept, dy.astype(jnp.bfloat16)
        return product(dy, w, 1, 1), product(x, dy, 0, 0)

    dot.defvjp(forward, backward)
    return dot


def jax_losses(g, d):
    "The two losses as functions of the weights of the one who moves"
    def of_d(weights, x, fake, key):
        real, fake = (d(weights, v, k) for v, k in zip((x, fake), jax.random.split(key)))
        return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()

    def of_g(weights, d_weights, z, key):
        for_g, for_d = jax.random.split(key)
        return jax.nn.softplus(-d(d_weights, g(weights, z, for_g), for_d)).mean()

    return of_d, of_g


class Jax:
    "Blocks of iterations as one compiled scan, with optax; an `n` that is no multiple is scaled"
    modules, package, block = ('jax', 'optax'), 'jax', 50
    # Tried without gain on 2 cores: XLA's CPU flags, data and fakes as one batch for D, Adam by
    # hand or on one flat vector, more unrolling, transposed weights, uint16 dropout, longer blocks.

    def __init__(self, task, k=1):
        self.task, self.k = task, k
        kind = 'gpu' if torch.device(task.device).type == 'cuda' else 'cpu'
        with jax.default_device(jax.devices(kind)[0]):
            G, D = task.nets()
            dot = self.dot()
            (g, self.g), (d, self.d) = jax_net(G, dot), jax_net(D, dot)
            def rate(lr):
                begin, n = task.falls or (0, 0)
                return optax.linear_schedule(lr, 0., n, begin) if n else lr
            d_adam, g_adam = (optax.adam(rate(lr or task.lr), *BETAS) for lr in (None, task.g_lr))
            self.d_adam, self.g_adam = d_adam, g_adam
            # XLA's own generator is the faster one for little noise, not for dropout in wide layers
            self.large = sum(p.numel() for net in (G, D) for p in net.parameters()) > 10**6
            self.key = jax.random.key(task.seed, impl='threefry2x32' if self.large else 'rbg')
            self.state = g, g_adam.init(g), d, d_adam.init(d)
            self.x = array(task.x)
        self.advance = jax.jit(self.program(), donate_argnums=(0, 1))
        self.run(self.block)  # compiles

    def program(self): return self.iterations
    def dot(self): return float32_dot

    def draw(self, n, key):
        shape = n, self.task.noise_dim
        if self.task.noise == 'normal': return jax.random.normal(key, shape)
        return jax.random.uniform(key, shape, minval=-math.sqrt(3), maxval=math.sqrt(3))

    def iterations(self, state, key, x):
        "`block` iterations: the new state and key, and the losses"
        m, (of_d, of_g) = self.task.batch, jax_losses(self.g, self.d)

        def move(adam, loss, weights, opt, *args):
            value, grad = jax.value_and_grad(loss)(weights, *args)
            change, opt = adam.update(grad, opt)
            return value, optax.apply_updates(weights, change), opt

        def iteration(state, key):
            g, g_opt, d, d_opt = state
            for_g, *for_d = jax.random.split(key, self.k + 1)
            for key in for_d:
                rows, noise, drop = jax.random.split(key, 3)
                i = jax.random.randint(rows, (m,), 0, len(x))
                real = x.at[i].get(mode='promise_in_bounds')
                fake = self.g(g, self.draw(m, noise), noise)
                d_value, d, d_opt = move(self.d_adam, of_d, d, d_opt, real, fake, drop)
            noise, drop = jax.random.split(for_g)
            g_value, g, g_opt = move(self.g_adam, of_g, g, g_opt, d, self.draw(m, noise), drop)
            return (g, g_opt, d, d_opt), (d_value, g_value)

        key, now = jax.random.split(key)
        keys = jax.random.split(now, self.block)
        state, losses = lax.scan(iteration, state, keys, unroll=2 if self.large else 1)
        return state, key, losses

    def run(self, n):
        blocks = max(1, round(n/self.block))
        start = time.perf_counter()
        for _ in range(blocks):
            self.state, self.key, self.losses = self.advance(self.state, self.key, self.x)
        jax.block_until_ready(self.state)
        return (time.perf_counter() - start)*n/(blocks*self.block)

    def sample(self, n):
        self.key, now = jax.random.split(self.key)
        fakes = jax.device_get(self.g(self.state[0], self.draw(n, now)))
        return torch.from_numpy(fakes.copy())


class JaxMany(Jax):
    "So many runs as one, by `jax.vmap`"
    def __init__(self, task, members):
        self.members = members
        super().__init__(task)

    def program(self):
        self.state = jax.tree.map(lambda v: jnp.stack([v]*self.members), self.state)
        self.key = jax.random.split(self.key, self.members)
        return jax.vmap(self.iterations, in_axes=(0, 0, None))


class JaxTF32(Jax):
    "The same with products as JAX makes them by itself, on a GPU in TF32"
    def dot(self): return jnp.matmul


class JaxBfloat16(Jax):
    "The same with products in bfloat16; weights, sums and Adam stay in float32"
    def dot(self): return bfloat16_dot()


# Those that are here

def lend_operators():
    "Let torchvision be imported, as fastai and TorchGAN do, who call nothing compiled in it"
    try: import_module('torchvision')
    except ImportError: return
    except RuntimeError:  # PyPI's finds its operators only beside torch for CUDA
        global operators
        operators = torch.library.Library('torchvision', 'FRAGMENT')
        for name in ('nms', 'qnms'):
            operators.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')


def present(candidates):
    "Those whose library can be imported, with their `version`; a line is printed for the others"
    found = {}
    for name, c in candidates.items():
        try:
            for m in c.modules: import_module(m)
            c.version = version(c.package)
            found[name] = c
        except Exception as e:  # an old library fails in its own way
            why = str(e).strip().partition('\n')[0]
            print(f'{name} is left out: {type(e).__name__}: {why}')
    return found


os.environ.setdefault('TENSORBOARD_LOGGING', '0')  # TorchGAN looks for both
os.environ.setdefault('VISDOM_LOGGING', '0')
lend_operators()
contenders = present({
    'plain': Plain, 'lightning': Lightning, 'ignite': Ignite, 'fastai': Fastai,
    'torchgan': TorchGAN, 'jax': Jax, 'jax-tf32': JaxTF32, 'jax-bf16': JaxBfloat16})
if not torch.cuda.is_available(): contenders.pop('jax-tf32', None)  # there it is the same as jax
