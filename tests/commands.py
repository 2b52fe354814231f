"""Commands in processes of their own, forked from one that has torch imported: that spares each of them some seconds.

Tests that start the scripts from nothing, and send them signals, are `begin` in test_cli, `command` in test_checkpoints and `run` in test_study.
"""
import multiprocessing, os, runpy, subprocess, sys, tempfile
from pathlib import Path

bin_ = Path(sys.executable).parent
_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload(['torch', 'torch._dynamo', 'matplotlib.figure', 'gan_nbdev.all'])

def _child(args, cwd, env, out, err):
    os.chdir(cwd)
    os.environ.clear(); os.environ.update(env)
    for fd, path in ((1, out), (2, err)): os.dup2(os.open(path, os.O_WRONLY), fd)
    sys.argv = args
    runpy.run_path(args[0], run_name='__main__')

def run(*args, cwd, **env):
    "Run a command of the package to its end, as `subprocess.run` with its output as text"
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PATH': f'{bin_}:{os.environ["PATH"]}', **env}
    args = [str(bin_/args[0]), *map(str, args[1:])]
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        p = _context.Process(target=_child, args=(args, str(cwd), env, out.name, err.name))
        p.start()
        p.join(300)
        if p.is_alive():
            p.kill()
            raise subprocess.TimeoutExpired(args, 300)
        said = [o.read().decode() for o in (out, err)]
    return subprocess.CompletedProcess(args, p.exitcode, *said)
