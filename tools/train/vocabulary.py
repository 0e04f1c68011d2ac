"""What the speech models know: some two hundred and fifty words, in free order and in short sentences.

Words are capitals, as in the models' vocab.json; a letter of the alphabet is spoken by its name.
"""

from __future__ import annotations

import random

DIGITS = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split()
TEENS = "TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN".split()
TENS = "TWENTY THIRTY FORTY FIFTY SIXTY SEVENTY EIGHTY NINETY".split()
POWERS = "HUNDRED THOUSAND MILLION".split()
ORDER = "FIRST SECOND THIRD NEXT LAST".split()
LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SPELLING = (
    "ALPHA BRAVO CHARLIE DELTA ECHO FOXTROT GOLF HOTEL INDIA JULIET KILO LIMA MIKE NOVEMBER OSCAR PAPA QUEBEC ROMEO "
    "SIERRA TANGO UNIFORM VICTOR WHISKEY YANKEE ZULU"
).split()
DAYS = "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY TODAY TOMORROW YESTERDAY".split()
MONTHS = "JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER".split()
COLOURS = "RED GREEN BLUE YELLOW ORANGE PURPLE PINK BROWN BLACK WHITE GREY".split()
DIRECTIONS = "UP DOWN LEFT RIGHT FORWARD BACK".split()
ROOMS = "KITCHEN BEDROOM BATHROOM OFFICE GARDEN GARAGE".split()
THINGS = (
    "LIGHT LAMP DOOR WINDOW HEATING MUSIC RADIO CAMERA TIMER ALARM PHONE COMPUTER SCREEN VOLUME SONG MESSAGE FILE "
    "PICTURE TABLE CHAIR BOOK CAR HOUSE TREE FLOWER WATER COFFEE BREAD APPLE CAT DOG BIRD FISH HORSE"
).split()
VERBS = (
    "START STOP PLAY PAUSE OPEN CLOSE SAVE DELETE SEND CALL CANCEL REPEAT SEARCH SHOW HIDE READ WRITE COPY PRINT "
    "PRESS ENTER LOCK UNLOCK MUTE HELP TURN SET GO COME WAIT LISTEN TAKE GIVE MOVE"
).split()
ANSWERS = "YES NO ON OFF OKAY HELLO GOODBYE PLEASE THANKS SORRY READY AGAIN".split()
MEASURES = "SECONDS MINUTES HOURS MINUTE HOUR DEGREES PERCENT DOLLARS TIME NUMBER POINT PLUS MINUS".split()
QUALITIES = "BIG SMALL HOT COLD FAST SLOW LOUD QUIET NEW OLD GOOD BAD MORE LESS".split()
# Only inside sentences: on their own some of them sound like digits or letters.
GLUE = "THE A AND IN AT IS IT WHAT MY TO FOR OF WITH ARE YOU".split()

GROUPS = {  # how often a free utterance draws from each
    "digits": (DIGITS, 4),
    "teens": (TEENS, 2),
    "tens": (TENS, 2),
    "powers": (POWERS, 0.5),
    "order": (ORDER, 0.7),
    "letters": (LETTERS, 2.5),
    "spelling": (SPELLING, 1.2),
    "days": (DAYS, 1.2),
    "months": (MONTHS, 1.2),
    "colours": (COLOURS, 1.2),
    "directions": (DIRECTIONS, 1.5),
    "rooms": (ROOMS, 0.7),
    "things": (THINGS, 3),
    "verbs": (VERBS, 3.5),
    "answers": (ANSWERS, 1.8),
    "measures": (MEASURES, 1),
    "qualities": (QUALITIES, 1.2),
}
# What the classifier tells apart; every other word is "unknown" to it.
KEYWORDS = [*DIGITS, *"YES NO UP DOWN LEFT RIGHT ON OFF STOP GO START PLAY PAUSE OPEN CLOSE HELP".split()]
WORDS = sorted({word for words, _ in GROUPS.values() for word in words} | set(GLUE))

SENTENCES = """
TURN ON THE {rooms} LIGHT
TURN OFF THE {rooms} LIGHT
TURN THE {things} OFF PLEASE
TURN {directions} AND STOP
SET A TIMER FOR {number} MINUTES
SET THE ALARM TO {number} PLEASE
SET THE VOLUME TO {number} PERCENT
WHAT TIME IS IT
WHAT IS THE NUMBER
PLAY THE NEXT SONG
PLAY MY MUSIC IN THE {rooms}
STOP THE MUSIC
OPEN THE {things}
CLOSE THE {things} PLEASE
OPEN THE {colours} DOOR
THE {things} IS {colours}
THE {things} IS {qualities}
IT IS {number} DEGREES
IT IS {qualities} TODAY
CALL {spelling} ON MY PHONE
SEND A MESSAGE TO {spelling}
DELETE THE LAST MESSAGE
SAVE THE FILE AND CLOSE THE WINDOW
SHOW MY {order} PICTURE
READ THE {order} MESSAGE AGAIN
{days} {order} {months}
{months} {number}
PRESS {digits} TO CALL
PRESS {letters} AND ENTER
MOVE {directions} {digits}
GO {directions} PLEASE
HELLO {spelling} ARE YOU READY
GIVE THE {things} TO {spelling}
TAKE A {colours} {things}
A {qualities} {things} AND A {qualities} {things}
{number} {things} IN THE {rooms}
THE HEATING IS ON IN THE {rooms}
YES PLEASE
NO THANKS
{digits} {digits} {digits} {digits}
{number} POINT {digits}
{number} PLUS {number}
{letters} {letters} {letters}
{letters} {digits} {letters}
""".strip().splitlines()


def number(rng: random.Random) -> str:
    """A number from one to some thousands, as it is said."""
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(DIGITS[1:])
    if kind < 0.45:
        return rng.choice(TEENS)
    if kind < 0.85:
        return rng.choice(TENS) + (" " + rng.choice(DIGITS[1:]) if rng.random() < 0.7 else "")
    return f"{rng.choice(DIGITS[1:])} {rng.choice(POWERS)}" + (f" {rng.choice(TENS)}" if rng.random() < 0.4 else "")


def word(rng: random.Random) -> str:
    names = list(GROUPS)
    group = rng.choices(names, [GROUPS[name][1] for name in names])[0]
    return rng.choice(GROUPS[group][0])


def sentence(rng: random.Random) -> str:
    words = []
    for part in rng.choice(SENTENCES).split():
        if part == "{number}":
            words.append(number(rng))
        elif part.startswith("{"):
            words.append(rng.choice(GROUPS[part[1:-1]][0]))
        else:
            words.append(part)
    return " ".join(words)


def free(rng: random.Random, most: int = 6) -> str:
    """One to `most` words in any order."""
    return " ".join(word(rng) for _ in range(rng.randint(1, most)))


def spoken(text: str) -> str:
    """`text` as a synthesizer is to read it: the name of A, where the article is not meant, before a pause."""
    words = text.split()
    said = []
    for i, w in enumerate(words):
        following = words[i + 1] if i + 1 < len(words) else None
        if len(w) > 1:
            said.append(w.lower())
        elif w == "A" and following is not None and len(following) > 1 and following not in DIGITS:
            said.append("a")
        else:
            said.append(w + ("," if w == "A" and following else ""))
    return " ".join(said)
