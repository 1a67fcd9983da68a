"""What can go wrong with secrets, each with a way out.

SecretError
├── SecretRefused      a configured value is a placeholder or too short
├── KeyFileUnreadable  a key file exists and holds no usable key
└── SealBroken         a sealed text was altered, moved to another place, or its key is gone
"""

from tidemill.kernel.errors import TidemillError


class SecretError(TidemillError):
    """Root of the failures below."""

    code = "secret_error"


class SecretRefused(SecretError):
    """A configured secret that anybody could guess. ``setting`` names it."""

    code = "secret_refused"
    zh = "设置 {setting} 是占位值或过短；请换成至少 {minimum} 个字符的随机值，或删除它以便自动生成。"
    en = (
        "The setting {setting} is a placeholder or too short. Give it at least {minimum} random characters, "
        "or leave it out to have one generated."
    )


class KeyFileUnreadable(SecretError):
    """A key file that holds no key; making a new one would orphan what the old one sealed. ``path`` names it."""

    code = "key_file_unreadable"
    zh = "密钥文件 {path} 无法读取；请从备份恢复它，或确认不再需要旧数据后删除它。"
    en = "The key file {path} cannot be read. Restore it from a backup, or delete it if nothing sealed by it is needed."


class SealBroken(SecretError):
    """A sealed text that does not open here."""

    code = "seal_broken"
    zh = "已保存的密文无法解密；请恢复 secrets 目录的备份，或重新填写该密钥。"
    en = "A stored secret cannot be opened. Restore the secrets folder from a backup, or enter that secret again."
