from tulle.errors import UserError
from tulle.ipam.events import Done, Failed, Log, Save
from tulle.ipam.journal import Journal
from tulle.mesh.channel import Broadcast

MESSAGE = Broadcast(frozenset({"state"}))


def busy() -> Journal:
    journal = Journal()
    journal.save("kind", "key", b"value")
    journal.answer(1, "result")
    journal.send(MESSAGE)
    return journal


def test_records_come_before_answers_and_messages_with_them() -> None:
    journal = busy()
    assert journal.dirty
    assert journal.outbox == []
    assert journal.collect() == [Save("kind", "key", b"value"), Done(1, "result")]
    assert journal.outbox == [MESSAGE]
    assert not journal.dirty
    assert journal.collect() == []


def test_the_last_value_of_a_key_is_written() -> None:
    journal = busy()
    journal.save("kind", "key", None)
    assert journal.collect()[0] == Save("kind", "key", None)


def test_when_the_disk_fails_answers_become_errors_and_messages_stay() -> None:
    journal = busy()
    journal.collect()
    journal.storage_failed("no space left on device")
    assert journal.dirty
    assert journal.blocked
    assert journal.outbox == []
    (failure,) = journal.collect()
    assert isinstance(failure, Failed)
    assert failure.error.status == 507
    assert "no space left on device" in str(failure.error)
    assert journal.collect() == []
    assert journal.outbox == []


def test_a_retry_hands_out_what_was_kept_and_newer_values_win() -> None:
    journal = busy()
    journal.save("kind", "old", b"1")
    journal.collect()
    journal.storage_failed("full")
    journal.collect()
    journal.save("kind", "old", b"2")
    journal.retry()
    assert journal.collect() == [Save("kind", "key", b"value"), Save("kind", "old", b"2")]
    assert journal.outbox == [MESSAGE]
    assert not journal.blocked


def test_answers_wait_with_their_records_but_refusals_and_log_lines_do_not() -> None:
    journal = busy()
    journal.collect()
    journal.storage_failed("full")
    journal.collect()
    problem = UserError("no")
    journal.answer(2, "later")
    journal.refuse(3, problem)
    journal.log("info", "text")
    assert journal.collect() == [Failed(3, problem), Log("info", "text")]
    journal.retry()
    assert Done(2, "later") in journal.collect()
