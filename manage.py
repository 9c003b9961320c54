#!/usr/bin/env python3
"""Run Tirelire: the first call makes its own virtual environment, then every call runs inside it."""

# Old interpreters must be able to read this file far enough to say what is wrong: no newer syntax here.
import hashlib
import os
import sys

BASE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(BASE, ".venv")
STAMP = os.path.join(VENV, ".tirelire")
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
OLDEST_PYTHON = (3, 11)
ROOM_NEEDED_MB = 1200


def main():
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            "Tirelire needs Python %d.%d or newer; this is Python %d.%d (%s).\n"
            "Install a newer Python, then run it by name, for example: python3.11 manage.py up"
            % (OLDEST_PYTHON + sys.version_info[:2] + (sys.executable,))
        )
    if sys.argv[1:2] == ["up"] and ("--help" in sys.argv or "-h" in sys.argv):
        sys.exit(show_options_of_up())  # before anything is installed
    if is_production():
        refuse_what_is_for_laptops()
    else:
        enter_venv()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["test"]:
        sys.exit(run_tests(sys.argv[2:]))
    if sys.argv[1:2] == ["sandbox"]:
        sys.exit(run_sandbox(sys.argv[2:]))
    if sys.argv[1:2] == ["lint"]:
        from config import lint

        sys.exit(lint.run(sys.argv[2:]))
    if sys.argv[1:2] == ["bench"]:
        os.environ.setdefault("EMBEDDED_PROFILE", "bench")
    if sys.argv[1:2] == ["migrate"]:
        # A long backfill may take its time; waiting for a lock may not (lock_timeout stays).
        os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_MS", "0")
    from django.core.management import execute_from_command_line

    import embedded

    try:
        execute_from_command_line(sys.argv)
    except embedded.CannotStart as error:
        sys.exit(str(error))


def is_production():
    """As config/settings.py finds it: the environment comes before .env."""
    said = os.environ.get("APP_ENV")
    if said is not None:
        return said == "production"
    for line in (read(os.path.join(BASE, ".env")) or "").splitlines():
        name, _, value = line.partition("=")
        if name in ("APP_ENV", "export APP_ENV"):
            return value.strip("'\"") == "production"
    return False


def refuse_what_is_for_laptops():
    if sys.argv[1:2] and sys.argv[1] in ("up", "test", "sandbox", "bench"):
        where = "the environment" if "APP_ENV" in os.environ else ".env"
        sys.exit(
            "`manage.py %s` is for a laptop, and here %s says APP_ENV=production.\n"
            "In production run the services of docker-compose.yml (docs/operations.md). If this is a laptop, take\n"
            "that away: nothing needs to be set there." % (sys.argv[1], where)
        )


def show_options_of_up():
    import argparse

    from embedded import up_options

    parser = argparse.ArgumentParser(prog="manage.py up", description=up_options.HELP)
    up_options.add_to(parser)
    parser.print_help()
    return 0


def run_sandbox(arguments):
    """The gateways in a box are a program of their own: this process becomes it."""
    os.chdir(BASE)
    command = [sys.executable, "-m", "sandbox"] + arguments
    if os.name == "nt":
        import subprocess

        return subprocess.call(command)
    return os.execv(sys.executable, command)


def run_tests(arguments):
    os.environ["APP_ENV"] = "test"
    import pytest

    import embedded

    try:
        return pytest.main(arguments)
    except embedded.CannotStart as error:
        return str(error)


def enter_venv():
    """Make or renew .venv when requirements or Python changed, then run this command again inside it."""
    inside = os.path.realpath(sys.prefix) == os.path.realpath(VENV)
    wanted = venv_fingerprint()
    if read(STAMP) != wanted:
        make_venv(wanted, inside)
    elif inside:
        return
    # Each of the processes that we start would compile hundreds of modules anew; git ignores what is written.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python = venv_python()
    if os.name == "nt":
        import subprocess

        sys.exit(subprocess.call([python] + sys.argv))
    os.execv(python, [python] + sys.argv)


def venv_fingerprint():
    digest = hashlib.sha256(sys.version.encode())
    for name in REQUIREMENTS:
        with open(os.path.join(BASE, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def venv_python():
    return os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None


def make_venv(wanted, inside):
    import shutil
    import subprocess

    free_mb = shutil.disk_usage(BASE).free // 1000000
    if free_mb < ROOM_NEEDED_MB:
        sys.exit(
            "Not enough room on the disk: %s has %d MB free and the packages need about %d MB.\n"
            "Free some space and run the same command again." % (BASE, free_mb, ROOM_NEEDED_MB)
        )
    try:
        os.makedirs(VENV, exist_ok=True)
        with open(os.path.join(VENV, ".lock"), "w") as lock:
            lock_file(lock)  # two first commands at once: the second waits for the first
            if read(STAMP) == wanted:
                return
            uv = shutil.which("uv")
            say("Making .venv with %s (once; a minute or two)" % ("uv" if uv else "pip"))
            if not inside:
                create_venv(uv)
            install_requirements(uv)
            with open(STAMP, "w") as file:
                file.write(wanted)
            say("Packages are in place.")
    except OSError as error:
        sys.exit("Could not make %s: %s. Mend that and run the same command again." % (VENV, error.strerror or error))
    except subprocess.CalledProcessError as error:
        sys.exit(
            "Could not install the packages (%s ended with %d). The lines above say why;\n"
            "usually the network or a full disk. Run the same command again when that is mended."
            % (os.path.basename(error.cmd[0]), error.returncode)
        )


def create_venv(uv):
    import shutil
    import subprocess

    for name in ("bin", "lib", "lib64", "include", "Scripts", "pyvenv.cfg"):
        path = os.path.join(VENV, name)
        if os.path.islink(path) or os.path.isfile(path):
            os.remove(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    if uv:
        subprocess.check_call([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, VENV])
        return
    made = subprocess.call([sys.executable, "-m", "venv", VENV], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if made != 0:  # Debian without python3-venv: the module is there, ensurepip is not
        subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", VENV])


def install_requirements(uv):
    import subprocess

    wanted = os.path.join(BASE, REQUIREMENTS[-1])
    if uv:
        subprocess.check_call(
            [uv, "pip", "install", "-q", "--compile-bytecode", "--python", venv_python(), "-r", wanted]
        )
        return
    pip = [venv_python(), "-m", "pip"]
    if subprocess.call(pip + ["--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) != 0:
        pip = [sys.executable, "-m", "pip", "--python", venv_python()]
    command = pip + ["install", "--disable-pip-version-check", "--no-input", "-r", wanted]
    total = 0
    for name in REQUIREMENTS:
        total += sum("==" in line for line in (read(os.path.join(BASE, name)) or "").splitlines())
    show_progress(command, total)


def show_progress(command, total):
    """Run pip; show one moving line on a terminal, and pip's own words only when it fails."""
    import subprocess

    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    lines, seen = [], 0
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Collecting "):
            seen = min(seen + 1, total)
            progress("%3d of %d  %s" % (seen, total, line.split()[1].split("=")[0]))
        elif line.startswith("Installing collected"):
            progress("unpacking %d packages" % total)
    progress("")
    if process.wait() != 0:
        sys.stdout.write("".join(lines[-15:]))
        raise subprocess.CalledProcessError(process.returncode, command)


def progress(text):
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K" + ("  " + text if text else ""))
        sys.stdout.flush()


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def lock_file(file):
    if os.name != "nt":
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


if __name__ == "__main__":
    main()
