import bcrypt
import pytest

from tidemill.identity.passwords import Passwords, is_hash, looks_like_hash
from tidemill.kernel.errors import BadInput


async def test_argon2id_recognises_its_password_and_no_other() -> None:
    passwords = Passwords()
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$")
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "correct horse ")
    assert not passwords.needs_renewal(stored)


@pytest.mark.parametrize("variant", [b"2a", b"2b"])
async def test_an_earlier_system_s_bcrypt_hash_is_accepted_and_asks_to_be_renewed(variant: bytes) -> None:
    stored = bcrypt.hashpw(b"admin123", bcrypt.gensalt(4, prefix=variant)).decode()
    passwords = Passwords()
    assert await passwords.verify(stored, "admin123")
    assert not await passwords.verify(stored, "admin124")
    assert passwords.needs_renewal(stored)


async def test_under_bcrypt_new_hashes_are_bcrypt_and_stay() -> None:
    passwords = Passwords("bcrypt", bcrypt_rounds=4)
    stored = await passwords.hash("admin123")
    assert stored.startswith("$2b$")
    assert await passwords.verify(stored, "admin123")
    assert not passwords.needs_renewal(stored)


async def test_under_bcrypt_an_argon2_hash_still_signs_in() -> None:
    stored = await Passwords().hash("admin123")
    passwords = Passwords("bcrypt", bcrypt_rounds=4)
    assert await passwords.verify(stored, "admin123")
    assert passwords.needs_renewal(stored)


async def test_bcrypt_refuses_to_cut_a_new_password() -> None:
    with pytest.raises(BadInput):
        await Passwords("bcrypt", bcrypt_rounds=4).hash("汉" * 25)


async def test_nobody_is_behind_a_missing_hash() -> None:
    passwords = Passwords()
    assert not await passwords.verify(None, "anything")
    assert not await passwords.verify(None, "anything")


@pytest.mark.parametrize("broken", ["", "plain", "$2b$12$short", "$argon2id$v=19$m=1,t=1,p=1$x", "$1$md5"])
async def test_a_broken_hash_lets_nobody_in(broken: str) -> None:
    assert not await Passwords().verify(broken, broken)
    assert not is_hash(broken)


def test_tells_a_whole_hash_from_one_that_only_looks_like_it() -> None:
    assert looks_like_hash("$2a$12$...")
    assert not is_hash("$2a$12$...")
    assert not looks_like_hash("my$password")


async def test_a_password_with_a_nul_is_refused_by_both_kinds() -> None:
    stored = bcrypt.hashpw(b"admin123", bcrypt.gensalt(4)).decode()
    assert not await Passwords().verify(stored, "admin123\x00x")
