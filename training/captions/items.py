"""Item words: what a listing sells, in Russian (with gender, for agreement) and English, and the shops' categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gender = Literal["m", "f", "n", "pl"]


@dataclass(frozen=True, slots=True)
class Item:
    """A kind of item.

    Parameters:
        key: stable identifier.
        ru: Russian nouns with the gender their adjective takes.
        en: English nouns.
        shop: categories of the data sources that mean it, lower case.
    """

    key: str
    ru: tuple[tuple[str, Gender], ...]
    en: tuple[str, ...]
    shop: tuple[str, ...] = ()


ITEMS: tuple[Item, ...] = (
    Item(
        "t-shirt",
        (("футболка", "f"), ("майка", "f"), ("футболки", "pl")),
        ("t-shirt", "tee", "tshirt"),
        ("t-shirt", "tshirts"),
    ),
    Item(
        "longsleeve",
        (("лонгслив", "m"), ("свитер", "m"), ("джемпер", "m"), ("кофта", "f")),
        ("longsleeve", "sweater", "jumper"),
        ("longsleeve", "sweaters"),
    ),
    Item(
        "hoodie",
        (("толстовка", "f"), ("худи", "n"), ("свитшот", "m")),
        ("hoodie", "sweatshirt"),
        ("hoodie", "sweatshirts"),
    ),
    Item("shirt", (("рубашка", "f"), ("сорочка", "f")), ("shirt",), ("shirt", "shirts")),
    Item("polo", (("поло", "n"), ("тенниска", "f")), ("polo", "polo shirt"), ("polo",)),
    Item(
        "top",
        (("топ", "m"), ("блузка", "f"), ("туника", "f")),
        ("top", "blouse", "tunic"),
        ("top", "blouse", "tops", "tunics", "kurtis", "kurtas"),
    ),
    Item(
        "undershirt",
        (("майка", "f"), ("борцовка", "f")),
        ("undershirt", "vest", "tank top"),
        ("undershirt", "innerwear vests", "camisoles"),
    ),
    Item(
        "dress",
        (("платье", "n"), ("сарафан", "m"), ("платья", "pl")),
        ("dress", "gown"),
        ("dress", "dresses", "sarees", "nightdress"),
    ),
    Item("skirt", (("юбка", "f"),), ("skirt",), ("skirt", "skirts")),
    Item(
        "pants",
        (("брюки", "pl"), ("штаны", "pl"), ("леггинсы", "pl")),
        ("pants", "trousers", "leggings"),
        ("pants", "trousers", "track pants", "leggings", "capris"),
    ),
    Item("jeans", (("джинсы", "pl"),), ("jeans", "denim"), ("jeans",)),
    Item("shorts", (("шорты", "pl"),), ("shorts",), ("shorts",)),
    Item(
        "outerwear",
        (("куртка", "f"), ("пальто", "n"), ("пуховик", "m"), ("жилет", "m")),
        ("jacket", "coat", "vest"),
        ("outwear", "jackets", "waistcoat", "rain jacket"),
    ),
    Item("blazer", (("пиджак", "m"), ("жакет", "m")), ("blazer", "suit jacket"), ("blazer", "blazers")),
    Item("body", (("боди", "n"), ("комбинезон", "m")), ("bodysuit", "romper"), ("body", "rompers")),
    Item("hat", (("шапка", "f"), ("кепка", "f"), ("шляпа", "f")), ("hat", "cap", "beanie"), ("hat", "caps", "hat")),
    Item(
        "shoes",
        (("кроссовки", "pl"), ("туфли", "pl"), ("ботинки", "pl"), ("обувь", "f")),
        ("shoes", "sneakers", "boots"),
        ("shoes", "casual shoes", "sports shoes", "formal shoes", "heels", "flats"),
    ),
    Item(
        "sandals",
        (("сандалии", "pl"), ("шлёпанцы", "pl"), ("босоножки", "pl")),
        ("sandals", "flip flops"),
        ("sandals", "flip flops", "sports sandals"),
    ),
    Item(
        "bag",
        (("сумка", "f"), ("рюкзак", "m"), ("клатч", "m")),
        ("bag", "handbag", "backpack"),
        ("handbags", "backpacks", "clutches", "messenger bag", "laptop bag", "duffel bag", "bags", "сумки"),
    ),
    Item("wallet", (("кошелёк", "m"), ("портмоне", "n")), ("wallet", "purse"), ("wallets",)),
    Item("watch", (("часы", "pl"),), ("watch",), ("watches",)),
    Item("glasses", (("очки", "pl"),), ("sunglasses", "glasses"), ("sunglasses",)),
    Item("belt", (("ремень", "m"), ("пояс", "m")), ("belt",), ("belts",)),
    Item("socks", (("носки", "pl"),), ("socks",), ("socks", "stockings")),
    Item(
        "scarf",
        (("шарф", "m"), ("платок", "m"), ("галстук", "m")),
        ("scarf", "tie"),
        ("scarves", "mufflers", "ties", "stoles", "dupatta"),
    ),
    Item(
        "jewellery",
        (("серьги", "pl"), ("кольцо", "n"), ("браслет", "m"), ("подвеска", "f")),
        ("earrings", "ring", "bracelet", "necklace"),
        ("earrings", "pendant", "necklace and chains", "ring", "bracelet", "bangle", "jewellery set"),
    ),
    Item(
        "underwear",
        (("трусы", "pl"), ("бельё", "n")),
        ("underwear", "briefs", "bra"),
        ("briefs", "bra", "trunk", "boxers"),
    ),
    Item(
        "cosmetics",
        (("помада", "f"), ("лак", "m"), ("духи", "pl")),
        ("lipstick", "nail polish", "perfume"),
        ("perfume and body mist", "deodorant", "nail polish", "lipstick", "lip gloss"),
    ),
    Item("chair", (("стул", "m"), ("кресло", "n")), ("chair", "armchair"), ("chairs", "стулья")),
    Item("table", (("стол", "m"), ("тумба", "f")), ("table", "desk"), ("tables", "столы")),
    Item("sofa", (("диван", "m"), ("кровать", "f")), ("sofa", "couch"), ("sofas", "beds", "диваны")),
    Item(
        "object",
        (
            ("велосипед", "m"),
            ("машина", "f"),
            ("чашка", "f"),
            ("игрушка", "f"),
            ("кошка", "f"),
            ("чехол", "m"),
            ("коляска", "f"),
            ("ваза", "f"),
            ("гитара", "f"),
            ("лампа", "f"),
            ("ковёр", "m"),
            ("унитаз", "m"),
        ),
        ("bicycle", "car", "cup", "toy", "cat", "case", "vase", "guitar", "lamp", "rug", "toilet"),
    ),
)

_CATEGORIES = [(word, number) for number, item in enumerate(ITEMS) for word in item.shop]
_NAMES = [
    (word, number) for number, item in enumerate(ITEMS) for word in (item.key, *item.en, *(noun for noun, _ in item.ru))
]
# The first of equal words counts.
_BY_WORD = dict(reversed(_CATEGORIES + _NAMES))


def item_of(category: str) -> int:
    """Index into ``ITEMS`` for a category: one of the shops' words, or an item's name in Russian or English; or -1."""
    return _BY_WORD.get(category.strip().lower(), -1)
