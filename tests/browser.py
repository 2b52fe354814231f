"""A real JupyterLab and a real Chromium, for tests, benchmarks and pictures.

    with server(folder) as url, chromium() as browser: Notebook(browser, url, folder, [cell, ...])
"""
import json, os, re, shutil, socket, subprocess, sys, time, urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat

patience = float(os.environ.get('LAB_PATIENCE', 1))   # times as long, where others use the processor
root = Path(__file__).resolve().parent.parent
flags = ('--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking '
         '--disable-component-update --disable-sync').split()

def missing():
    "What keeps a browser from starting here, or None"
    for name in ('playwright', 'jupyterlab', 'anywidget'):
        try: __import__(name)
        except ImportError: return f'{name} is not installed'
    return None if find_chromium() else 'there is no chromium on PATH'

def find_chromium():
    names = 'chromium', 'chromium-browser', 'google-chrome'
    return os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, names)), None)

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def _settings(folder):
    for path, what in (('notebook-extension/tracker', dict(windowingMode='none')),
                       ('apputils-extension/notification', dict(fetchNews='false',
                                                                checkForUpdates=False)),
                       ('docmanager-extension/plugin', dict(autosave=False))):
        p = folder/f'settings/@jupyterlab/{path}.jupyterlab-settings'
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(json.dumps(what))

@contextmanager
def server(folder, **env):
    "JupyterLab on `folder`, with a configuration of its own; gives its address"
    folder, port = Path(folder), free_port()
    own = folder/'.jupyter'
    _settings(own)
    dirs = {k: str(own/k.lower()) for k in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR',
                                            'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR')}
    dirs |= dict(JUPYTERLAB_SETTINGS_DIR=str(own/'settings'),
                 JUPYTERLAB_WORKSPACES_DIR=str(own/'workspaces'))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    env = {**os.environ, **dirs, 'PATH': path, 'PYTHONPATH': str(root), **env}
    cmd = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip=127.0.0.1', f'--port={port}',
           '--allow-root', '--expose-app-in-browser', '--IdentityProvider.token=',
           '--ServerApp.password=', '--ServerApp.port_retries=0', f'--notebook-dir={folder}']
    with open(folder/'server.log', 'w') as log:
        p = subprocess.Popen(cmd, env=env, stdout=log, stderr=log, cwd=folder)
        try:
            wait_for(lambda: answers(f'http://127.0.0.1:{port}/api'), 60)
            yield f'http://127.0.0.1:{port}'
        finally:
            p.terminate()
            try: p.wait(20)
            except subprocess.TimeoutExpired:   # what is tested is over by now
                p.kill()
                p.wait()

def answers(url):
    try: return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError: return False

def wait_for(ready, seconds, what='it'):
    end, pause = time.monotonic() + seconds*patience, .02
    while not ready():
        assert time.monotonic() < end, f'waited {seconds} s for {what}'
        time.sleep(pause)
        pause = min(pause*1.4, .3)   # to look takes the browser's and the kernel's time

@contextmanager
def chromium():
    "A browser without a window"
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=find_chromium(), args=flags)
        try: yield b
        finally: b.close()

def _notebook(sources):
    spec = dict(display_name='python3', language='python', name='python3')
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in sources], metadata=dict(kernelspec=spec))

# What is frozen is not looked through for garbage, as it would be each time that IPython forgets.
_forget = """import gc, sys
window = sys.modules.get('gan_nbdev.lab.window')
for o in gc.get_referrers(window.Lab) if window else ():
    if type(o) is window.Lab: o.close()
from ipywidgets import Widget
Widget.close_all()
import torch
torch.manual_seed(0)
get_ipython().reset()
__import__('gc').freeze()"""

laptop = 1280, 900

class Notebook:
    "A notebook with these cells in a page of its own, its kernel connected, nothing run yet"
    def __init__(self, browser, url, folder, sources, size=laptop, name='x', **context):
        self.path = Path(folder)/f'{name}.ipynb'
        nbformat.write(_notebook(sources), self.path)
        self.context = browser.new_context(viewport=dict(width=size[0], height=size[1]), **context)
        self.page, self.url, self.runtime = self.context.new_page(), url, Path(folder)/'.jupyter'
        self.page.set_default_timeout(30_000*patience)
        self.errors, self.outside = [], []
        self.page.on('pageerror', lambda e: self.errors.append(str(e)))
        self.page.on('console', lambda m: m.type == 'error' and self.errors.append(m.text))
        self.page.on('request', lambda r: r.url.startswith(('http', 'ws')) and '127.0.0.1' not in
                     r.url and self.outside.append(r.url))
        self.open()

    def open(self):
        "Load the page; wait for the kernel"
        self.page.goto(f'{self.url}/lab/tree/{self.path.name}?reset')
        wait_for(self.connected, 60, 'the kernel')

    def connected(self):
        return self.page.evaluate('''() => {
            const k = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;
            return !!k && k.connectionStatus === "connected" && k.status === "idle" }''')

    def put(self, *sources, size=laptop):
        "Other cells, in this file, window and kernel, which forget those before: to open new ones takes ten seconds"
        js = '''async ([code, cells]) => {
            const { context, sessionContext } = window.jupyterapp.shell.currentWidget;
            const said = await sessionContext.session.kernel.requestExecute({ code, store_history: false }).done;
            if (said.content.status !== "ok") throw new Error(said.content.evalue);
            localStorage.clear();
            context.model.fromJSON(cells);
            await context.save() }'''
        wait_for(self.connected, 60, 'the kernel')   # a page that was reloaded may be on its way
        self.page.evaluate(js, [_forget, _notebook(sources)])
        self.page.set_viewport_size(dict(width=size[0], height=size[1]))
        self.errors.clear(); self.outside.clear()

    def run(self, wait=True):
        "Run all cells"
        self.page.evaluate('() => window.jupyterapp.commands.execute("runmenu:run-all")')
        if wait: wait_for(self.done, 60, 'the cells')

    def done(self):
        prompts = self.page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) '
                                    '.jp-CodeCell .jp-InputArea-prompt').all_inner_texts()
        return prompts and all(re.match(r'\[\d+\]', o) for o in prompts)

    def ask(self, code):
        "The value of an expression in the kernel"
        js = '''async code => {
            const k = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const v = `__import__('json').dumps(${code})`;
            const f = k.requestExecute({code: "", silent: true, store_history: false,
                                        user_expressions: {v}});
            const o = (await f.done).content.user_expressions.v;
            return o.status === "ok" ? o.data["text/plain"] : "!" + o.ename + ": " + o.evalue }'''
        out = self.page.evaluate(js, code)
        assert not out.startswith('!'), out
        return json.loads(eval(out))

    def until(self, ready, what='it', seconds=20):
        "Wait for a function, or for an expression in the kernel, to be true"
        wait_for(ready if callable(ready) else lambda: self.ask(f'bool({ready})'), seconds, what)

    def close(self): self.context.close()
