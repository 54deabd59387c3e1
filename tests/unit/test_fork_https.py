"""fork() while another thread loads OpenSSL and certificates, which all stores share: the child
must not inherit a lock that nobody will ever let go."""

import subprocess
import sys

FORKS = 20
SCRIPT = """
import os, signal, sys, threading
from ossmedia import Bucket, Credentials, NetworkError, Retry

def visit():
    with Bucket("cams", endpoint="https://127.0.0.1:1", region="cn-hangzhou",
                credentials=Credentials("id", "secret"), retry=Retry(attempts=1)) as bucket:
        try:
            bucket.stat("k")  # nobody is there, but what TLS needs is loaded first
        except NetworkError:
            return

def visit_on():
    while not ended:
        visit()

visit()  # or the child might wait for a module that another thread was importing
ended = False
threads = [threading.Thread(target=visit_on) for _ in range(2)]
for thread in threads:
    thread.start()
whole = 0
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        visit()
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        break
    whole += 1
ended = True
for thread in threads:
    thread.join()
print(whole)
"""


def test_a_child_may_use_https_whatever_the_parents_threads_did() -> None:
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT, str(FORKS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == FORKS
