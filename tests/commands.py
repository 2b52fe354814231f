"""Commands and notebooks in processes of their own, forked from one that has torch imported: that spares each of them some seconds.

Tests that start the scripts from nothing, and send them signals, are `begin` in test_cli, `command` in test_checkpoints and `begin` in test_study.
"""
import gc, multiprocessing, os, random, runpy, subprocess, sys, tempfile
from pathlib import Path

bin_ = Path(sys.executable).parent
_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload(['gan_nbdev.all', 'torch._inductor.compile_fx', 'matplotlib.figure', 'sklearn.datasets', 'nbdev.test'])

def _child(f, args, cwd, env, out, err):
    gc.freeze()   # what is there for good is not looked through for garbage
    os.chdir(cwd)
    os.environ.clear(); os.environ.update(env)
    for fd, path in ((1, out), (2, err)): os.dup2(os.open(path, os.O_WRONLY), fd)
    f(*args)

def seed_all():
    "The generators that code without a seed of its own draws from"
    import numpy, torch
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)

def apart(f, *args, cwd, seconds=300, **env):
    "Call `f`, a function of a module, in a process of its own, as `subprocess.run` with its output as text"
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PATH': f'{bin_}:{os.environ["PATH"]}', **env}
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        p = _context.Process(target=_child, args=(f, args, str(cwd), env, out.name, err.name))
        p.start()
        p.join(seconds)
        if p.is_alive():
            p.kill()
            raise subprocess.TimeoutExpired(args, seconds)
        said = [o.read().decode() for o in (out, err)]
    return subprocess.CompletedProcess(args, p.exitcode, *said)

def _script(*args):
    sys.argv = list(args)
    runpy.run_path(args[0], run_name='__main__')

def _module(name, *args):
    sys.argv = [name, *args]
    runpy.run_module(name, run_name='__main__', alter_sys=True)

def python_m(name, *args, cwd):
    "As `python -m`"
    return apart(_module, name, *map(str, args), cwd=cwd)

def run(*args, cwd, **env):
    "Run a command of the package to its end"
    return apart(_script, str(bin_/args[0]), *map(str, args[1:]), cwd=cwd, **env)
