"""Opens pages in a headless Chromium, if this machine has one."""

import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def dumped_page(address, folder, *options):
    """Returns the HTML of a page after its scripts, without the console's having said anything.

    Args:
        address: the address of the page.
        folder: an empty or own folder for the browser's profile.
        options: further options of the command line.
    """
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={folder}", "--enable-logging=stderr", "--window-size=1200,900"]
    command += [*options, "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout
