"""The tables of our grammar (demos/ptb/grammar.py): the whole language, to read and to change.

What begins with a capital is a symbol that a rule replaces, all else is a word. In a rule,

- the first number is its weight among the rules of its symbol;
- `#` is the grammatical number, the same all over the rule: `Subject# Deed#` is one subject that sleeps or many that
  sleep. A rule whose symbol has no `#` chooses it, and so an object need not agree with its verb;
- a word with `#` is a verb: `fall#` is "falls" or "fall";
- `*` is each of `NOUNS` in turn.
"""

RULES = {
    "Sentence": """
        46  Clause <eos>
        16  Opening Clause <eos>
        12  Clause When <eos>
        14  Clause Link Clause <eos>
         6  when Clause then Clause <eos>
         4  if Clause then Clause <eos>
    """,
    "Opening": """
        30  When
        12  Perhaps
         4  once upon a time
         4  of course
         3  by the way
         3  believe it or not
         2  to the surprise of everybody
    """,
    "When": """
        20  every Hour
        14  on Weekday
        14  in Month
         5  from time to time
         4  at the same time
         3  once in a blue moon
    """,
    "Clause": "1  Subject# Deed#",
    # Who does it: between a subject and its verb may lie a phrase with a noun of the other number.
    "Subject#": """
        58  Creature#
         9  Creature# Where
         6  Creature# with ThingPhrase
        11  Known#
         4  either Creature# or Creature#
         2  neither Creature# nor Creature#
    """,
    "Subject-many": """
        7  both Creature and Creature
        5  Name and Name
    """,
    "Known#": """
        5  AnimalPhrase# that Deed#
        5  PersonPhrase# who Deed#
        3  AnimalPhrase# that Gap
        3  PersonPhrase# whom Gap
    """,
    "Gap": "1  Creature# Meet#",
    "Creature#": """
        9  PersonPhrase#
        8  AnimalPhrase#
    """,
    "Creature-one": """
        10  Name
    """,
    "Creature": "1  Creature#",
    # What is done
    "Deed#": """
        76  Act#
        10  Often Act#
        11  be# State
         3  be# Often State
    """,
    "Act#": """
         7  Rest#
         9  Rest# Softly
         8  Rest# Where
         2  both Rest# and Rest#
         2  either Rest# or Rest#
         3  Go# home
         5  Go# to Town
        10  Go# Towards PlacePhrase
         8  Eat# FoodPhrase
         5  Eat# FoodPhrase Where
        13  Meet# Whom
         3  Meet# Creature Softly
         6  Visit# PlacePhrase
         3  Visit# Town
        10  Use# ThingPhrase
         4  Use# ThingPhrase Softly
         4  Give# ThingPhrase to Creature
         3  Give# FoodPhrase to Creature
         5  Say# that Clause
         2  fall# in love with Whom
         2  take# care of Whom
         2  make# friends with Whom
         1  run# out of Food-many
         1  get# rid of ThingPhrase
         1  look# forward to the Event
    """,
    "State": """
        10  Mood
         6  Rather Mood
         4  Mood about ThingPhrase
         3  Fond of Creature
         4  Older than Creature
         2  as Brave as the Animal-one
    """,
    "Whom": """
        60  Creature
         5  both Creature and Creature
         4  either Creature or Creature
         9  Known
    """,
    "Known": "1  Known#",
    "Where": """
        30  Near PlacePhrase
         4  in front of PlacePhrase
         3  next to PlacePhrase
         2  far away from PlacePhrase
         5  in Town
         2  at home
    """,
    # The nouns and what stands before them. After "a" comes an adjective, so that the table can tell "a" from "an":
    # odd ones begin with a vowel, all others with a consonant.
    "*Phrase": "1  *Phrase#",
    "*Phrase#": """
        40  Which# *#
        18  Which# *Adjective *#
    """,
    "*Phrase-one": """
        13  a *Plain *-one
         4  an Odd *-one
    """,
    "*Phrase-many": """
        12  *-many
        10  *Adjective *-many
         6  Two *-many
    """,
    "Which#": """
        52  the
        16  My
        12  This#
    """,
    "*Adjective": """
        5  *Plain
        1  Odd
    """,
    "*Plain": "1  Big",
    "AnimalPlain": "1  Brave",
    "PersonPlain": "1  Brave",
    "FoodPlain": "1  Fresh",
    "PlacePlain": "1  Dark",
    "ThingPlain": "1  Dark",
}

# The words of each class, the most frequent first, and no word in two classes. A plural that is not formed with -s
# stands behind a slash.
NOUNS = {
    "Animal": """
        dog cat fox bird rabbit horse owl bear mouse/mice hedgehog wolf/wolves goose/geese donkey frog squirrel cow crow
        mole badger goat hen otter pig turtle lion whale spider monkey tiger snail robin elephant beaver pigeon parrot
        camel lizard giraffe walrus ferret moth lynx
    """,
    "Person": """
        child/children girl boy farmer woman/women man/men king queen teacher baker neighbour sailor doctor witch pilot
        painter grandmother fisherman/fishermen gardener wizard captain thief/thieves princess giant uncle aunt poet
        miller detective butcher pirate nurse shepherd librarian postman/postmen clown knight tailor dentist astronaut
        acrobat blacksmith
    """,
    "Food": """
        cake apple pie egg pancake cherry sandwich carrot potato/potatoes cookie pear sausage tomato/tomatoes onion nut
        dumpling plum muffin mushroom peach noodle banana waffle strawberry pretzel lemon olive pickle biscuit turnip
        cucumber fig
    """,
    "Place": """
        house garden forest river village tree bridge hill school barn lake castle mill market tower island street
        mountain cave beach field harbour library church kitchen meadow cellar museum bakery station inn valley
        lighthouse theatre palace stable pond shed
    """,
    "Thing": """
        book hat lamp letter boat key ball basket clock umbrella bell ladder kite mirror candle coat map drum pillow
        broom bucket violin bicycle blanket scarf/scarves teapot spoon hammer telescope balloon wheelbarrow ring trumpet
        suitcase feather lantern button piano puppet flute compass anchor
    """,
}
VERBS = {
    "Rest": """
        sleep laugh sing dance wait smile dream cry play work rest whistle snore yawn swim hum shiver sneeze listen
        giggle blush stumble pray juggle
    """,
    "Go": "walk run go come hurry travel sail return wander ride hop sneak stroll",
    "Eat": "eat cook bake taste like smell share swallow nibble slice",
    "Meet": """
        see love help meet follow call hear feed miss chase greet hug trust teach tease thank invite kiss
        forgive scare tickle
    """,
    "Visit": "visit leave reach paint enter admire explore cross guard photograph draw sketch",
    "Use": """
        find carry lose buy need hide repair want keep borrow collect forget drop clean steal polish break examine
        wrap
    """,
    "Give": "give bring show sell send offer lend throw",
    "Say": "say think hope believe know claim fear announce guess swear",
}
IRREGULAR = {"be": ("is", "are"), "go": ("goes", "go")}
WORDS = {
    "Name": """
        anna tom clara leo emma jack lucy oscar mia peter nora felix rosa henry ida hugo martha simon greta paul ella
        victor tilda bruno olga otto stella frank wanda jonas agnes arthur flora basil hilda walter pearl edgar
        sven zelda
    """,
    "Town": "paris rome london vienna oslo prague lisbon venice cairo athens dublin lima bergen kyoto bombay timbuktu",
    "Big": """
        little big good small new white red strange black tiny green funny heavy beautiful golden famous round blue
        lovely brown rare yellow proper purple spotted mysterious peculiar
    """,
    "Odd": "old ugly odd enormous unusual ancient elegant ordinary amazing extraordinary orange invisible",
    "Brave": """
        young clever poor brave rich wise lazy gentle wild friendly polite shy grumpy cheerful modest greedy stubborn
        noisy careful sleek plump
    """,
    "Fresh": "fresh sweet warm delicious salty ripe juicy crunchy bitter burnt sticky mouldy",
    "Dark": "dark quiet deserted broken silver wooden dusty hidden shiny haunted crooked rusty narrow cosy",
    "Mood": """
        happy tired hungry sad busy glad ready alone lost sick sleepy thirsty calm cold late lucky nervous bored
        sorry surprised upset furious delighted homesick
    """,
    "Fond": "afraid fond proud jealous",
    "Older": "older bigger faster younger smaller taller stronger wiser kinder slower louder richer braver happier",
    "Rather": "very rather quite too terribly",
    "Often": "often never always sometimes still usually rarely suddenly finally secretly gladly",
    "Softly": """
        quietly slowly again together happily well loudly carefully softly quickly badly gracefully politely
        nervously patiently bravely peacefully sadly clumsily
    """,
    "Perhaps": "perhaps luckily today tonight now maybe tomorrow here meanwhile nowadays",
    "Link": "because while but until before although unless after",
    "Near": "in near behind under beside around outside inside above opposite beyond",
    "Towards": "to into through towards across past along",
    "My": "my her his our your their",
    "This-one": "this every another each",
    "This-many": "these some many those all several most few",
    "Two": "two three four five seven ten twenty",
    "Hour": "morning day night evening week year spring summer winter autumn afternoon",
    "Weekday": "sunday monday friday saturday wednesday tuesday thursday",
    "Month": "may june december april july march september august january october november february",
    "Event": "party wedding holiday concert picnic carnival fair",
}
