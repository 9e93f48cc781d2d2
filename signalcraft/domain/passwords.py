"""What a password must be: long, and not among the first that anybody would guess.

Length decides (NIST SP 800-63B, section 5.1.1: no rules about kinds of characters). Against guessing, everything that
is easy to guess is taken out of the password first: the words below, keyboard walks and counting, the person's own name
and address, the product's name, years, repetitions. What remains must still be something.

The words are our own list: those that lists of leaked passwords are made of, as seen in the published "most common
passwords" tables, without the passwords themselves. Of the passwords of 12 and more characters in such tables most are
two of these words, or one with digits behind it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

from signalcraft.errors import Invalid

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 256
REMEMBERED: Final = 5
"""How many earlier passwords may not come back."""

REST_MIN: Final = 5
"""Characters that must remain when everything easy to guess is taken out."""
_DIFFERENT_MIN: Final = 5
_PRODUCT: Final = ("signalcraft", "signal", "craft")

_WORDS: Final = """
aaron abc access account adidas admin administrator adobe alert alerts alexander alexandra alexis always amanda america
andrea andrew angel angela animal anthony apple april arsenal asdf ashley august austin autumn azerty backup bailey
banana barbara barcelona baseball basketball batman beautiful benjamin birthday black blessed blink182 blue booboo
bradley brandon brittany broken brother buddy bulldog butter butterfly california cameron captain carlos caroline change
changeit changeme charles charlie cheese chelsea chester chicago chicken chocolate christ christian christopher class
cocacola coffee company compaq computer congratulations cookie cooper correct corvette country cowboy crystal daddy
dakota dallas daniel danielle database david debug default demo denise dennis destiny devil diablo diamond doctor dollar
dolphin dragon eagle edward elephant elizabeth eminem empire england english enter everton everything extreme facebook
family father february ferrari finger fishing florida flower football forever forget forgot france freedom friday friend
friends fuck fuckyou gandalf garfield george ginger gmail goat golden goldfish good google grandma green guest guitar
hammer hannah happy harley harry harrypotter heaven hello help hockey honda horse hotmail house hunter iceman iloveyou
incident india internet ireland jackie jackson january jasmine jason jasper jennifer jessica jesus jesuschrist john
jonathan jordan joseph joshua july june junior justin justinbieber killer king kitty knight knoxville laptop lauren
lemonade letmein liberty lincoln linkinpark liverpool london love lovely loveme lover lucky madison maggie magic manager
manchester march maria marina marine market marlboro marley martin master matrix matthew maverick maximus melissa
mercedes mercury merlin metallica mexico michael michelle mickey midnight miller minecraft mobile monday money monitor
monkey monster morgan morning mother mountain music mustang myspace naruto natalie natasha nathan nature newyork
nicholas nicole nintendo nirvana nobody nothing november number ocean october oliver online operator orange outlaw pager
pakistan panther paradise parker party pass passion passw0rd password patrick peace peaches peanut pepper phoenix
picture please pokemon police porsche precious princess prod production purple pussy qazwsx qwe qweasd qweasdzxc qwer
qwerty qwertz rabbit rachel raider rainbow ranger realmadrid rebecca redsox remember richard robert rocket rockstar
rolltide root russia saints samantha samsung sandra saturday scooter scotland scott secret security september sergey
server service sexy shadow silver simple simpsons singer sister slayer smile smokey snoopy snowball soccer soldier
sophie spanish spider spiderman spongebob spring squirt stage staging star startrek starwars station stephanie steven
student summer sunday sunflower sunshine super superman supersecret support sweet sweetheart swordfish sysadmin system
taylor teacher teddy tennis test testing texas theresa this thomas thunder thursday tiger tigger tinkerbell tottenham
toyota travis trinity trouble truelove trustno tuesday turtle twilight twitter tyler unbelievable unicorn united unknown
user vampire vanessa victoria victory viking village vincent walter warcraft warrior water wednesday welcome what
whatever whatsapp white wildcats william willow windows winner winston winter wizard wonderful wordpress work world
xavier yahoo yamaha yankees yellow youtube zachary zxcv
is my i me you it in on the a an and for of to our your us we am are not yes no now new
"""

_WALKS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
    "a1b2c3d4e5f6g7h8i9j0",
    "!@#$%^&*()_+",
    '!"§$%&/()=',
)
_WALK_MIN: Final = 4
_COUNT_MIN: Final = 3
_FAMOUS: Final = frozenset(
    {"correcthorsebatterystaple", "thequickbrownfoxjumpsoverthelazydog", "loremipsumdolorsitamet"}
)
_SWAPS: Final = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"}
)
_YEAR: Final = re.compile(r"(19|20)\d\d")


def prepared(password: str) -> str:
    """The password as it is hashed: the same characters, however a keyboard composed them (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check(password: str, email: str, name: str, path: str = "password") -> None:
    """Raises Invalid at `path`, with what is wrong, for a password that is too short, too long or easy to guess."""
    why = weakness(password, email, name)
    if why:
        raise Invalid(why, path=path)


def weakness(password: str, email: str, name: str) -> str:
    """What is wrong with a password in one sentence; "" for a good one."""
    password = prepared(password)
    if len(password) < LENGTH_MIN:
        return f"a password has at least {LENGTH_MIN} characters; a few words that have nothing to do with you are good"
    if len(password) > LENGTH_MAX:
        return f"a password has at most {LENGTH_MAX} characters"
    if len(set(password.lower())) < _DIFFERENT_MIN:
        return "this password is a few characters over and over"
    if _period(password.lower()) <= len(password) // 2:
        return "this password is one piece over and over"
    own = [part for part in re.split(r"[^\w]+|_", f"{email} {name}".lower()) if len(part) >= 3]
    famous = re.sub(r"[\W_]", "", password.lower()) in _FAMOUS
    if famous or _rest(password.lower(), own) < REST_MIN:
        return "this password is easy to guess: common words, your own name or address, counting or keyboard rows"
    return ""


def _period(text: str) -> int:
    """The length of the piece that a text repeats; its own length where it repeats nothing."""
    return (text + text).find(text, 1)


def _rest(text: str, own: Iterable[str]) -> int:
    """How many characters remain when everything easy to guess is taken out."""
    left = _YEAR.sub(" ", _without_walks(text))
    for words in (own, _PRODUCT, _longest_first()):
        # Both as it stands and with digits read as letters: neither "p4ssw0rd" nor "dragon5" hides a word.
        left = _without(left, words)
    return len("".join(left.split()))


def _without(text: str, words: Iterable[str]) -> str:
    for word in words:
        for read in (text, text.translate(_SWAPS)):
            at = read.find(word)
            while at >= 0 and _stands(word, read, at):
                text = text[:at] + " " * len(word) + text[at + len(word) :]
                read = read[:at] + " " * len(word) + read[at + len(word) :]
                at = read.find(word)
    return text


def _stands(word: str, text: str, at: int) -> bool:
    """Whether a word is really there: a very short one only between gaps, else it is part of something else."""
    if len(word) > 3:
        return True
    before, after = text[:at][-1:], text[at + len(word) :][:1]
    return not before.isalpha() and not after.isalpha()


def _without_walks(text: str) -> str:
    """The text with runs along a keyboard row, the alphabet or the digits replaced by gaps, and repeats of one key."""
    gone = [False] * len(text)
    for walk in _all_walks():
        start = 0
        while start < len(text):
            length = _run(text, start, walk)
            if length >= (_COUNT_MIN if text[start : start + length].isdigit() else _WALK_MIN):
                gone[start : start + length] = [True] * length
            start += max(length, 1)
    for match in re.finditer(r"(.)\1{2,}", text):
        gone[match.start() : match.end()] = [True] * (match.end() - match.start())
    return "".join(" " if out else char for char, out in zip(text, gone, strict=True))


def _run(text: str, start: int, walk: str) -> int:
    at = walk.find(text[start])
    length = 0
    while (
        at >= 0 and start + length < len(text) and at + length < len(walk) and walk[at + length] == text[start + length]
    ):
        length += 1
    return length


@cache
def _all_walks() -> tuple[str, ...]:
    return tuple(one for walk in _WALKS for one in (walk, walk[::-1]))


@cache
def _longest_first() -> tuple[str, ...]:
    return tuple(sorted(set(_WORDS.split()), key=lambda word: (-len(word), word)))
