"""Who speaks, how, and how hard it is: the seeds of variety, crossed with the task's directions.

A prompt names one of each, drawn per item, so that answers to one sample differ for a stated reason. The lists are
short on purpose: more words here change less than more directions from the user.
"""

from tidemill.kernel.lang import Lang

_PERSONAS: dict[Lang, tuple[str, ...]] = {
    "zh": (
        "第一次接触该业务的普通用户",
        "着急解决问题的老客户",
        "注重细节的财务人员",
        "年长、不熟悉线上操作的用户",
        "经验丰富的一线客服",
        "正在做调研的产品经理",
        "出差途中的商务人士",
        "刚毕业的年轻人",
        "小微企业主",
        "严谨的合规专员",
        "有孩子的家长",
        "熟悉技术的工程师",
    ),
    "en": (
        "someone new to the subject",
        "a long-standing customer in a hurry",
        "a finance clerk with an eye for detail",
        "an elderly person unused to online services",
        "an experienced support agent",
        "a product manager doing research",
        "a business traveller on the road",
        "a recent graduate",
        "the owner of a small business",
        "a careful compliance officer",
        "a parent of young children",
        "an engineer at home with technology",
    ),
}

_STYLES: dict[Lang, tuple[str, ...]] = {
    "zh": ("口语化", "正式书面", "简洁直接", "详细具体", "委婉客气", "略带情绪", "条理分明", "叙事性"),
    "en": (
        "colloquial",
        "formal",
        "short and direct",
        "detailed",
        "polite",
        "slightly emotional",
        "orderly",
        "a story",
    ),
}

_DIFFICULTIES: dict[Lang, tuple[str, ...]] = {
    "zh": ("简单", "中等", "较难", "含有容易混淆之处"),
    "en": ("easy", "medium", "hard", "holding something easily confused"),
}


def personas(lang: Lang) -> tuple[str, ...]:
    """Return the speakers."""
    return _PERSONAS[lang]


def styles(lang: Lang) -> tuple[str, ...]:
    """Return the manners of speech."""
    return _STYLES[lang]


def difficulties(lang: Lang) -> tuple[str, ...]:
    """Return the grades of difficulty."""
    return _DIFFICULTIES[lang]
