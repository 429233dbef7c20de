"""What is accepted as a password, and how it is kept."""

import threading
import time

import pytest
from werkzeug.security import generate_password_hash

from errors import InvalidRequest, RateLimited
from services.accounts import passwords


class TestCheckNewPassword:
    @pytest.mark.parametrize(
        "password", ["eight ok", "correct horse", "x" * 63 + "y", "p" * 1000 + "q" * 24, "пароль-и-ключ"]
    )
    def test_from_eight_to_1024_characters_are_accepted(self, password: str) -> None:
        passwords.check_new_password(password)

    @pytest.mark.parametrize(
        "password",
        [
            "",
            "short",
            "1234567",
            "z" * 500 + "y" * 525,
            "password",
            "PassWord1",
            "12345678",
            "iloveyou",
            "aaaaaaaaaa",
        ],
    )
    def test_short_long_and_common_ones_are_refused_naming_the_field(self, password: str) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            passwords.check_new_password(password, field="new_password")
        assert [error.field for error in refusal.value.errors] == ["new_password"]

    def test_ones_own_address_is_refused(self) -> None:
        for password in ("Margaret@example.com", "margaret"):
            with pytest.raises(InvalidRequest):
                passwords.check_new_password(password, "margaret@example.com")

    def test_the_bundled_list_has_thousands_of_the_ones_that_are_long_enough(self) -> None:
        common = passwords._common_passwords()
        assert len(common) > 10_000
        assert min(map(len, common)) >= passwords.MIN_CHARACTERS
        assert {"password1", "qwertyuiop", "football"} <= common


class TestHashes:
    def test_hash_has_the_chosen_parameters_and_only_the_password_fits(self) -> None:
        made = passwords.hash_password("correct horse")
        assert made.startswith("scrypt:32768:8:3$")
        assert passwords.is_right("correct horse", made)
        assert not passwords.is_right("correct horsE", made)

    def test_composed_and_decomposed_letters_are_the_same_password(self) -> None:
        made = passwords.hash_password("caf\u00e9 au lait")
        assert passwords.is_right("cafe\u0301 au lait", made)

    def test_without_a_hash_nothing_fits_but_the_work_is_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checked: list[str] = []
        real = passwords.check_password_hash
        monkeypatch.setattr(passwords, "check_password_hash", lambda h, p: checked.append(h) or real(h, p))
        assert not passwords.is_right("anything at all", None)
        assert not passwords.is_right("", None)
        assert len(checked) == 2 and all(h.startswith(passwords.METHOD + "$") for h in checked)

    def test_a_hash_of_other_parameters_wants_a_new_one(self) -> None:
        assert passwords.needs_rehash(generate_password_hash("correct horse", "scrypt:32768:8:1"))
        assert not passwords.needs_rehash(passwords.hash_password("correct horse"))

    def test_no_more_than_two_hashes_run_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running, most, lock = [0], [0], threading.Lock()

        def slow_check(_hash: str, _password: str) -> bool:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.02)
            with lock:
                running[0] -= 1
            return False

        monkeypatch.setattr(passwords, "check_password_hash", slow_check)
        threads = [threading.Thread(target=passwords.is_right, args=("x", None)) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert most[0] == 2

    def test_who_waits_too_long_for_a_turn_is_told_to_come_back(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
        with passwords._slot(), passwords._slot(), pytest.raises(RateLimited) as refusal:
            passwords.is_right("x", None)
        assert refusal.value.retry_after_seconds
