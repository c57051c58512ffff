"""A pod that will not get ready is named early, with what the cluster said of it, its log, and the command to type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

pytest.importorskip("kubernetes", reason="the extra `kind` is not installed")

from played_pods import (
    IMAGE,
    RUNNING,
    ApiObject,
    PlayedPods,
    back_off,
    condition,
    container,
    make_crashing,
    make_pod,
    make_ready,
    make_unscheduled,
    not_ready,
    waiting,
)

from rehearsal.clusters.kube_reads import KubeReads
from rehearsal.clusters.kubectl import Kubectl
from rehearsal.clusters.pod_states import ClaimState
from rehearsal.clusters.pod_waits import PodWaits
from rehearsal.errors import EnvironmentUnfit, WaitTimeout
from rehearsal.journal import Journal
from rehearsal.shell import Shell

Start = Callable[[PlayedPods], PodWaits]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.redactor.learn(["pass-word-1"])

    def make(pods: PlayedPods) -> PodWaits:
        monkeypatch.setattr("rehearsal.clusters.pod_waits.time", pods)
        kubectl = Kubectl(Shell(journal), tmp_path / "kubectl", tmp_path / "kubeconfig", "ns", tmp_path)
        return PodWaits(cast(KubeReads, pods), kubectl)

    yield make
    journal.close()


def always(*described: ApiObject) -> Callable[[float], list[ApiObject]]:
    return lambda _: list(described)


def wait(start: Start, pods: PlayedPods, deadline: float = 300.0) -> WaitTimeout:
    with pytest.raises(WaitTimeout) as caught:
        start(pods).wait_ready(["db-0"], deadline)
    return caught.value


# -- images -----------------------------------------------------------------------------------------------------------


def make_imageless(second: float) -> list[ApiObject]:
    """The kubelet says the one, then the other, again and again."""
    reasons = ("ErrImagePull", "failed to resolve"), ("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    status = container("postgresql", waiting(*reasons[int(second) % 2]))
    return [make_pod("db-0", "Pending", not_ready("postgresql"), {"containerStatuses": [status]})]


def test_an_image_that_cannot_be_pulled(start: Start) -> None:
    pods = PlayedPods(make_imageless, events={"db-0": (f"10:00 db-0: Failed: no such host: {IMAGE}",)})
    told = wait(start, pods)
    assert 30 < pods.passed < 33, "a registry may come back for half a minute"
    assert told.what.startswith("db-0 cannot become ready: phase Pending; container postgresql with image ")
    assert f"with image {IMAGE} waits: ImagePullBackOff (Back-off pulling" in told.what or "ErrImagePull" in told.what
    assert f"last events: 10:00 db-0: Failed: no such host: {IMAGE}" in told.what
    assert "log ends" not in told.what
    assert told.where == "db-0"
    assert told.hint.endswith("-n ns describe pod db-0")


def test_an_image_name_that_is_none_is_told_at_once(start: Start) -> None:
    status = container("postgresql", waiting("InvalidImageName", "couldn't parse image name"))
    pods = PlayedPods(always(make_pod("db-0", "Pending", not_ready("postgresql"), {"containerStatuses": [status]})))
    assert "InvalidImageName (couldn't parse image name)" in wait(start, pods).what
    assert pods.passed == 0


def test_a_registry_that_comes_back_is_no_error(start: Start) -> None:
    pods = PlayedPods(lambda second: make_imageless(second) if second < 29 else [make_ready("db-0")])
    start(pods).wait_ready(["db-0"], 300.0)


def test_a_secret_that_is_not_there(start: Start) -> None:
    status = container("postgresql", waiting("CreateContainerConfigError", 'secret "db" not found'))
    pods = PlayedPods(always(make_pod("db-0", "Pending", not_ready("postgresql"), {"containerStatuses": [status]})))
    assert 'waits: CreateContainerConfigError (secret "db" not found)' in wait(start, pods).what
    assert 30 < pods.passed < 33


def test_each_of_two_images_has_half_a_minute(start: Start) -> None:
    def play(second: float) -> list[ApiObject]:
        """The init container's is there after 20 s, the server's 20 s later."""
        pulling, done = waiting("ErrImagePull"), {"terminated": {"exitCode": 0, "reason": "Completed"}}
        first = container("configure", pulling if second < 20 else done, ready=second >= 20)
        server = container("postgresql", pulling if second > 22 else waiting("PodInitializing"))
        statuses = {"initContainerStatuses": [first], "containerStatuses": [server]}
        return [make_pod("db-0", "Pending", [], statuses) if second < 42 else make_ready("db-0")]

    start(PlayedPods(play)).wait_ready(["db-0"], 300.0)


def test_the_trouble_of_a_pod_that_nobody_waits_for_ends_no_wait(start: Start) -> None:
    broken = container("postgresql", waiting("InvalidImageName"))
    other = make_pod("web-0", "Pending", not_ready("postgresql"), {"containerStatuses": [broken]})
    starting = make_pod("db-0", "Pending", [], {})
    pods = PlayedPods(lambda second: [other, starting if second < 5 else make_ready("db-0")])
    start(pods).wait_ready(["db-0"], 300.0)


# -- crashes ----------------------------------------------------------------------------------------------------------


def crash(second: float) -> list[ApiObject]:
    """A server that ends within a second of every start, as the kubelet plays it: 10, 20, 40 s between its lives."""
    ends = (1.0, 3.0, 14.0, 35.0, 76.0, 157.0)
    lives = sum(end <= second for end in ends)
    if lives == 0:
        status = container("postgresql", RUNNING)
        return [make_pod("db-0", "Running", not_ready("postgresql"), {"containerStatuses": [status]})]
    if lives == 1 or ends[lives] - second <= 1:
        return [make_crashing("db-0", RUNNING, restarts=lives)]
    return [make_crashing("db-0", back_off(10 << (lives - 2)), restarts=lives - 1)]


def test_a_crash_loop_names_the_status_and_the_log_of_the_life_that_ended(start: Start) -> None:
    said = "starting\nFATAL:  lock file is empty\npassword pass-word-1\n"
    pods = PlayedPods(
        crash,
        logs={("postgresql", False): said},
        events={
            "db-0": (
                "e1",
                "Back-off restarting",
            )
        },
    )
    told = wait(start, pods)
    assert f"container postgresql with image {IMAGE} waits: CrashLoopBackOff (back-off 40s" in told.what
    assert "container postgresql ended with status 1, 3 restarts" in told.what
    assert "last events: e1 | Back-off restarting" in told.what
    assert "its log ends: (postgresql) starting\nFATAL:  lock file is empty\n" in told.what
    assert "pass-word-1" not in told.what
    assert told.hint.endswith("-n ns logs db-0 -c postgresql --previous")


def test_a_crash_loop_is_named_at_its_fourth_end_though_it_ran_in_between(start: Start) -> None:
    pods = PlayedPods(crash)
    assert "cannot become ready" in wait(start, pods).what
    assert 35 <= pods.passed < 37


def test_a_crash_loop_that_ends_with_status_0_is_one_too(start: Start) -> None:
    pods = PlayedPods(lambda second: [make_crashing("db-0", back_off(40), restarts=int(min(second, 3)), ended=0)])
    assert "container postgresql ended with status 0, 3 restarts" in wait(start, pods).what
    assert pods.passed < 5


def test_a_pod_that_restarts_until_its_database_is_there_is_no_error(start: Start) -> None:
    for until in (5.0, 30.0):
        pods = PlayedPods(lambda second, until=until: crash(second) if second < until else [make_ready("db-0", 2, 1)])
        start(pods).wait_ready(["db-0"], 300.0)


def test_what_crashed_before_this_wait_has_half_a_minute_to_run_again(start: Start) -> None:
    """It may have been mended since, and is started only after its back-off."""
    before = make_crashing("db-0", back_off(40), restarts=3)
    pods = PlayedPods(lambda second: [before] if second < 25 else [make_ready("db-0", 4, 1)])
    start(pods).wait_ready(["db-0"], 300.0)
    pods = PlayedPods(always(make_crashing("db-0", back_off(160), restarts=5)))
    wait(start, pods)
    assert 30 < pods.passed < 33


def test_a_command_that_is_not_there_is_a_crash_loop_too(start: Start) -> None:
    def play(second: float) -> list[ApiObject]:
        state = waiting("RunContainerError", 'exec: "nothing": not found')
        return [make_crashing("db-0", state, restarts=min(int(second // 10), 4), ended=128)]

    pods = PlayedPods(play)
    told = wait(start, pods)
    assert 'waits: RunContainerError (exec: "nothing": not found)' in told.what
    assert "ended with status 128" in told.what
    assert pods.passed < 33


def test_the_log_of_a_life_that_goes_on_and_of_the_one_that_ended(start: Start) -> None:
    """At the deadline it may run again, and have said nothing yet: why it ended is in the log of the life before."""
    running = make_crashing("db-0", RUNNING, restarts=1, ended=137)
    logs = {("postgresql", False): "starting anew\n", ("postgresql", True): "out of memory\n"}
    told = wait(start, PlayedPods(always(running), logs=logs))
    assert told.what.startswith("db-0 is not ready after 300 s: phase Running; container postgresql ended with status")
    assert "its log ends: (postgresql) starting anew" in told.what
    assert "the log of its life before ends: (postgresql) out of memory" in told.what
    assert told.hint.endswith("logs db-0 -c postgresql --previous")
    told = wait(start, PlayedPods(always(running), logs={("postgresql", True): "out of memory\n"}))
    assert "its log ends:" not in told.what
    assert "the log of its life before ends: (postgresql) out of memory" in told.what


def test_a_log_is_told_by_its_last_lines(start: Start) -> None:
    long = "".join(f"line {number}\n" for number in range(100))
    told = wait(start, PlayedPods(always(make_crashing("db-0", back_off(40), 3)), logs={("postgresql", False): long}))
    assert "line 99" in told.what
    assert "line 80" not in told.what


def test_two_containers_that_end_are_each_judged(start: Start) -> None:
    """The second has been in its back-off since before this wait, and hides nothing of the first."""

    def play(second: float) -> list[ApiObject]:
        ends = container("postgresql", back_off(40), restarts=min(int(second // 10), 3), ended=1)
        waits = container("exporter", back_off(160), restarts=5, ended=1)
        return [make_pod("db-0", "Running", not_ready("postgresql"), {"containerStatuses": [ends, waits]})]

    pods = PlayedPods(lambda second: play(second) if second > 3 else [])
    wait(start, pods)
    assert 30 <= pods.passed < 32


def test_an_init_container_that_fails_is_the_one_that_is_named(start: Start) -> None:
    def play(second: float) -> list[ApiObject]:
        restarts = min(int(second // 10), 4)
        statuses = {
            "initContainerStatuses": [
                container("chown", {"terminated": {"exitCode": 0, "reason": "Completed"}}, ready=True),
                container("configure", back_off(40), restarts=restarts, ended=2),
            ],
            "containerStatuses": [container("postgresql", waiting("PodInitializing"))],
        }
        incomplete = condition(
            "Initialized", "ContainersNotInitialized", "containers with incomplete status: [configure]"
        )
        return [make_pod("db-0", "Pending", [incomplete, *not_ready("postgresql")], statuses)]

    logs = {("chown", False): "all owned\n", ("configure", False): "bash: printf: write error: No space left\n"}
    pods = PlayedPods(play, logs=logs)
    told = wait(start, pods)
    assert pods.passed < 33
    assert "container configure ended with status 2, 3 restarts" in told.what
    assert "incomplete status: [configure]" in told.what
    assert "its log ends: (configure) bash: printf: write error: No space left" in told.what
    assert "all owned" not in told.what
    assert told.hint.endswith("logs db-0 -c configure --previous")


def test_a_crash_loop_that_is_wanted_gone_is_waited_for(start: Start) -> None:
    """Or a namespace could not be emptied after a rehearsal that failed because of it."""
    broken = container("postgresql", waiting("InvalidImageName"))
    other = make_pod("db-0", "Pending", not_ready("postgresql"), {"containerStatuses": [broken]})
    for described in (make_crashing("db-0", back_off(160), 5), other):
        pods = PlayedPods(lambda second, described=described: [described] if second < 40 else [])
        start(pods).wait_gone(lambda _: True, 120.0)
        assert pods.passed >= 40


def test_the_troubles_of_a_pod_that_is_on_its_way_out_are_not_those_of_the_next(start: Start) -> None:
    def play(second: float) -> list[ApiObject]:
        if second > 20:
            return [make_ready("db-0")]
        leaving = make_crashing("db-0", back_off(40), restarts=3 + (second > 1))
        leaving["metadata"]["deletionTimestamp"] = "2026-05-01T10:05:00Z"
        return [leaving]

    start(PlayedPods(play)).wait_ready(["db-0"], 300.0)


# -- no node ----------------------------------------------------------------------------------------------------------

CPU = make_unscheduled("db-0", "1 Insufficient cpu")


def test_a_pod_that_no_node_takes_is_named_after_a_minute(start: Start) -> None:
    pods = PlayedPods(always(CPU), events={"db-0": ("10:00 db-0: FailedScheduling: 1 Insufficient cpu",)})
    told = wait(start, pods)
    assert 60 < pods.passed < 63
    assert told.what.startswith(
        "db-0 cannot become ready: phase Pending; Unschedulable: 0/1 nodes are available: 1 Insu"
    )
    assert "last events: 10:00 db-0: FailedScheduling: 1 Insufficient cpu" in told.what
    assert told.hint.endswith("-n ns describe pod db-0")


@pytest.mark.parametrize("until", [2.0, 55.0])
def test_a_pod_that_waits_for_its_claims_volume_for_a_while_is_no_error(start: Start, until: float) -> None:
    unbound = make_unscheduled("db-0", "pod has unbound immediate PersistentVolumeClaims")
    pods = PlayedPods(lambda second: [unbound] if second < until else [make_ready("db-0")])
    start(pods).wait_ready(["db-0"], 300.0)


def test_a_scheduler_that_failed_itself_tries_again(start: Start) -> None:
    failed = make_pod("db-0", "Pending", [condition("PodScheduled", "SchedulerError", "etcdserver: timed out")], {})
    pods = PlayedPods(lambda second: [failed] if second < 100 else [make_ready("db-0")])
    start(pods).wait_ready(["db-0"], 300.0)


def test_each_trouble_has_patience_of_its_own(start: Start) -> None:
    """Half a minute without a node is not half of a minute that the registry is given."""

    def play(second: float) -> list[ApiObject]:
        if second < 50:
            return [CPU]
        return make_imageless(second) if second < 75 else [make_ready("db-0")]

    start(PlayedPods(play)).wait_ready(["db-0"], 300.0)


# -- no volume --------------------------------------------------------------------------------------------------------

UNBOUND = make_unscheduled("db-0", "pod has unbound immediate PersistentVolumeClaims", claim="data-db-0")


def test_a_class_that_is_not_there_is_named_with_its_claim(start: Start) -> None:
    pods = PlayedPods(
        always(UNBOUND),
        claims=(ClaimState("data-db-0", "Pending", "longhorn"),),
        events={
            "db-0": ("e1 db-0: FailedScheduling",),
            "data-db-0": ('e2 data-db-0: ProvisioningFailed: storageclass "longhorn" not found',),
        },
    )
    told = wait(start, pods)
    assert "claim data-db-0 of StorageClass longhorn, which the cluster does not have, is Pending" in told.what
    assert "; last events: e1 db-0: FailedScheduling; " in told.what
    assert 'last events of data-db-0: e2 data-db-0: ProvisioningFailed: storageclass "longhorn" not found' in told.what
    assert told.where == "db-0"
    assert told.hint.endswith("-n ns describe pvc data-db-0")


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (ClaimState("data-db-0", "Pending", "standard"), "claim data-db-0 of StorageClass standard is Pending"),
        (ClaimState("data-db-0", "Pending"), "claim data-db-0 of no StorageClass is Pending"),
        (ClaimState("data-db-0", "Lost", "standard"), "claim data-db-0 of StorageClass standard is Lost"),
        (ClaimState("data-db-0", "Bound", "standard", deleting=True), "claim data-db-0 is being deleted"),
        (ClaimState("other", "Bound"), "claim data-db-0 is not there"),
    ],
)
def test_a_claim_that_no_pod_can_use_says_why(start: Start, claim: ClaimState, said: str) -> None:
    assert f"; {said}" in wait(start, PlayedPods(always(UNBOUND), claims=(claim,))).what


def test_a_claim_that_is_bound_is_not_what_keeps_the_pod(start: Start) -> None:
    full = make_unscheduled("db-0", "1 Insufficient cpu", claim="data-db-0")
    told = wait(start, PlayedPods(always(full), claims=(ClaimState("data-db-0", "Bound", "standard"),)))
    assert "claim" not in told.what
    assert told.hint.endswith("describe pod db-0")


def test_what_cannot_be_asked_for_hides_nothing(start: Start) -> None:
    refuses = EnvironmentUnfit("the API server answers 500")
    assert "Unschedulable: 0/1 nodes" in wait(start, PlayedPods(always(UNBOUND), refuses=refuses)).what
    crashing = always(make_crashing("db-0", back_off(40), 3))
    told = wait(start, PlayedPods(crashing, logs={("postgresql", False): "no space left\n"}, refuses=refuses))
    assert "ended with status 1, 3 restarts" in told.what
    assert "its log ends: (postgresql) no space left" in told.what


# -- what is only slow ------------------------------------------------------------------------------------------------


def test_pods_that_are_not_there_at_the_deadline_are_all_named(start: Start) -> None:
    pods = PlayedPods(always(make_ready("web-0")))
    with pytest.raises(WaitTimeout, match="db-0 is not ready after 20 s: it is not there; nor: db-1") as caught:
        start(pods).wait_ready(["db-0", "web-0", "db-1"], 20.0)
    assert caught.value.hint.endswith("describe pod db-0")


def test_a_server_that_runs_and_does_not_answer_shows_its_log(start: Start) -> None:
    status = container("postgresql", RUNNING)
    pods = PlayedPods(
        always(make_pod("db-0", "Running", not_ready("postgresql"), {"containerStatuses": [status]})),
        logs={("postgresql", False): "redo starts at 0/1500028\n"},
    )
    told = wait(start, pods, deadline=20.0)
    unready = "containers with unready status: [postgresql]"
    assert told.what == (
        f"db-0 is not ready after 20 s: phase Running; ContainersNotReady: {unready}; "
        "its log ends: (postgresql) redo starts at 0/1500028"
    )
    assert told.hint.endswith("-n ns describe pod db-0")
