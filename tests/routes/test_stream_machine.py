"""Any sequence of write, flush, sync, fault, renew and close equals a bytes model."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.routes.stream_model import BLOCK, FAULTS, MODES, Run, run


def test_any_sequence_equals_the_model(oss_emulator):
    class StreamMachine(RuleBasedStateMachine):
        play = None

        @initialize(
            mode=st.sampled_from(MODES),
            blocks=st.integers(2, 4),
            parallel=st.integers(1, 3),
        )
        def open(self, mode, blocks, parallel):
            self.play = Run(oss_emulator, mode, blocks=blocks, parallel=parallel)

        @rule(
            size=st.sampled_from([0, 1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7]),
            byte=st.integers(0, 255),
        )
        def write(self, size, byte):
            pattern = bytes((byte + at) & 255 for at in range(251))
            self.play.write((pattern * (size // 251 + 1))[:size])

        @rule(
            kind=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 2), after=st.integers(0, 2)
        )
        def fault(self, kind, times, after):
            self.play.fault(kind, times, after)

        @rule()
        def flush(self):
            self.play.writer.flush()

        @precondition(lambda self: self.play and self.play.mode == "ab")
        @rule()
        def sync(self):
            self.play.writer.sync(30)

        def teardown(self):
            if self.play:
                self.play.close()

    StreamMachine.TestCase.settings = settings(
        max_examples=40,
        stateful_step_count=10,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    StreamMachine.TestCase("runTest").runTest()


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_fault_sequences(oss_emulator, first):
    for seed in range(first, first + 20):
        run(oss_emulator, seed)
