/** @file Hand-written material that the screen was never tuned on: written after its last change, and looked at once. */
import { fact, type Material } from "./material.ts";

/** Passages of the held-back part. */
export const heldBackMaterial: readonly Material[] = [
  {
    id: "ferry",
    text: "The ferry Albatros was launched at Vigo in 1971. She carried cars between Port Hale and the island of Runn. Captain Inga Dahl commanded her from 1980 on. A fire in the galley ended her service, and a museum bought her anchor.",
    facts: [
      fact("Vigo", "Cadiz", "The ferry Albatros was built at {v}.", "The yard that launched her was at {v}.", "Where was the ferry launched?", "Launched at"),
      fact("1971", "1917", "The launch of the Albatros took place in {v}.", "Her launch was in {v}.", "When was the ferry launched?", "Launched in"),
      fact("Inga Dahl", "Berta Holm", "From 1980, the captain of the ferry was {v}.", "She was under the command of {v}.", "Who commanded the ferry?", "Captain"),
      fact("anchor", "bell", "A museum now owns the {v} of the Albatros.", "What a museum bought was her {v}.", "What did a museum buy?", "Bought by a museum"),
    ],
    negated: ["The Albatros carried no cars.", "A museum did not buy her anchor."],
    swapped: ["Inga Dahl was launched at Vigo in 1971.", "A museum commanded her from 1980 on."],
    added: ["The crew kept a tame bear in the hold.", "Smugglers hid diamonds in the funnel."],
    contrary: ["The ferry was launched in 1980.", "A fire in the galley began her service."],
  },
  {
    id: "thermostat",
    text: "Set the thermostat to 19 degrees at night. Press the green button for two seconds to lock it. The batteries last eighteen months; use size AA only. If the display shows E4, the sensor is broken and must be replaced by Lena's team.",
    facts: [
      fact("19 degrees", "16 degrees", "At night, the thermostat should stand at {v}.", "The night setting is {v}.", "To what should the thermostat be set at night?", "At night"),
      fact("green", "white", "The thermostat is locked with the {v} button.", "To lock it, you press the {v} button.", "Which button locks the thermostat?", "Lock button"),
      fact("eighteen months", "eight months", "A set of batteries works for {v}.", "After {v}, its batteries are empty.", "How long do the batteries last?", "Batteries last"),
      fact("sensor", "valve", "E4 on the display means that the {v} is broken.", "In case of E4, the {v} has to be replaced.", "What is broken when the display shows E4?", "E4"),
    ],
    negated: ["The sensor need not be replaced.", "Do not use size AA."],
    swapped: ["The batteries are broken and must be replaced by Lena's team.", "The sensor lasts eighteen months."],
    added: ["The thermostat sends your address to a satellite.", "Clean the case with petrol and a toothbrush."],
    contrary: ["Press the green button to unlock it.", "Set the thermostat to 19 degrees by day."],
  },
  {
    id: "parking",
    text: "Visitors park in garage C behind the theatre. The first hour is free, and each further hour costs 1.80 euros. The gate closes at 23:00. Lost tickets cost 25 euros. Electric cars charge on level 2, next to the lift.",
    facts: [
      fact("garage C", "garage D", "The place for visitors to park is {v}.", "Their cars belong in {v}.", "Where do visitors park?", "Visitors"),
      fact("1.80 euros", "2.80 euros", "After the first hour, parking costs {v} an hour.", "Every further hour is {v}.", "What does a further hour cost?", "Further hour"),
      fact("23:00", "21:00", "The gate of the garage is shut at {v}.", "It closes at {v}.", "When does the gate close?", "Gate closes at"),
      fact("25 euros", "52 euros", "Whoever loses a ticket pays {v}.", "A lost ticket costs {v}.", "What does a lost ticket cost?", "Lost ticket"),
    ],
    negated: ["The first hour is not free.", "Electric cars do not charge on level 2."],
    swapped: ["The lift closes at 23:00.", "Lost tickets are free."],
    added: ["A guard with a whistle washes the windows.", "Motorcycles get a coupon for soup."],
    contrary: ["The gate opens at 23:00.", "The garage is in front of the theatre."],
  },
  {
    id: "enzyme",
    text: "Rennet makes milk curdle because it contains the enzyme chymosin. It comes from the stomach of calves. Since 1990 most chymosin has been made by fungi, a method developed by the company Pfizer. It works best at 40 degrees and fails above 65.",
    facts: [
      fact("chymosin", "lactase", "The enzyme in rennet is called {v}.", "Milk curdles because of {v}.", "Which enzyme does rennet contain?", "Enzyme"),
      fact("fungi", "algae", "Nowadays, most chymosin is produced by {v}.", "Since 1990 it has been made by {v}.", "What makes most chymosin since 1990?", "Made by"),
      fact("40 degrees", "30 degrees", "Chymosin works best at a temperature of {v}.", "Its best temperature is {v}.", "At what temperature does it work best?", "Best temperature"),
      fact("calves", "goats", "Rennet is taken from the stomach of {v}.", "Its source is the stomach of {v}.", "From whose stomach does rennet come?", "Stomach of"),
    ],
    negated: ["Rennet does not make milk curdle.", "It does not come from the stomach of calves."],
    swapped: ["Fungi contain the enzyme rennet.", "Milk makes rennet curdle."],
    added: ["Roman soldiers rubbed it on their shields.", "Rennet smells of violets and pepper."],
    contrary: ["It works best at 65 degrees.", "Until 1990 most chymosin was made by fungi."],
  },
  {
    id: "rehearsal",
    text: "Hi all, rehearsal moves to Thursday because the hall is being painted. Bring the Brahms, not the Bach. Lotte is ill, so Marek sings her solo. We end at 21:30. Greta collects 12 euros from each of you for the coach.",
    facts: [
      fact("Thursday", "Monday", "The rehearsal will now be on {v}.", "It has been moved to {v}.", "On which day is the rehearsal?", "Rehearsal"),
      fact("Brahms", "Haydn", "For the rehearsal, everybody needs the {v}.", "The music to bring is the {v}.", "Which music should be brought?", "Bring"),
      fact("Marek", "Stefan", "The solo of Lotte is sung by {v}.", "Her solo goes to {v}.", "Who sings the solo of Lotte?", "Solo"),
      fact("12 euros", "21 euros", "Greta wants {v} from everyone.", "The coach costs each singer {v}.", "How much does Greta collect from each?", "For the coach"),
    ],
    negated: ["Lotte is not ill.", "The hall is not being painted."],
    swapped: ["Marek collects 12 euros from each of you.", "Greta sings her solo."],
    added: ["The tenor keeps a python in his locker.", "The bishop will conduct in slippers."],
    contrary: ["Bring the Bach.", "We begin at 21:30."],
  },
  {
    id: "duke",
    text: "Duke Aldric of Morne ruled from 1402 until 1431. He built the harbour of Selby and drained the marsh around it. His wife Ysolde founded a school for girls. He lost the battle of Karr to the Ostlanders and died in prison.",
    facts: [
      fact("1431", "1413", "The reign of Duke Aldric ended in {v}.", "He ruled until {v}.", "Until when did Duke Aldric rule?", "Ruled until"),
      fact("Selby", "Whitby", "The harbour that Duke Aldric built is that of {v}.", "He gave {v} its harbour.", "Which harbour did he build?", "Harbour"),
      fact("Ysolde", "Matilda", "The wife of Duke Aldric was called {v}.", "He was married to {v}.", "Who was the wife of Duke Aldric?", "Wife"),
      fact("Karr", "Dunn", "The Ostlanders beat Duke Aldric in the battle of {v}.", "He was beaten in the battle of {v}.", "Which battle did he lose?", "Battle lost"),
    ],
    negated: ["Duke Aldric did not drain the marsh.", "He did not die in prison."],
    swapped: ["Ysolde built the harbour of Selby.", "Duke Aldric founded a school for girls."],
    added: ["He owned a clock with a silver cuckoo.", "Ysolde painted icons and bred falcons."],
    contrary: ["He won the battle of Karr.", "Duke Aldric ruled from 1431 until 1402."],
  },
  {
    id: "beans",
    text: "Soak the beans overnight in cold water. Drain them and boil them for 70 minutes with a bay leaf. Fry garlic in olive oil, add 200 grams of tomatoes, and let it thicken. Mix everything and bake it at 160 degrees until brown.",
    facts: [
      fact("cold", "hot", "The beans are soaked in {v} water.", "They lie in {v} water overnight.", "In what water are the beans soaked?", "Water"),
      fact("70 minutes", "17 minutes", "The beans have to boil for {v}.", "It takes {v} to boil them.", "How long do the beans boil?", "Boil for"),
      fact("tomatoes", "peppers", "To the garlic, add 200 grams of {v}.", "You add 200 grams of {v}.", "What is added to the garlic?", "Added to the garlic"),
      fact("160 degrees", "190 degrees", "Everything is baked at {v}.", "The oven should have {v}.", "At what temperature is it baked?", "Oven"),
    ],
    negated: ["Do not drain the beans.", "The garlic is not fried."],
    swapped: ["Fry tomatoes in olive oil and add 200 grams of garlic.", "Boil the garlic for 70 minutes with a bay leaf."],
    added: ["Stir in raisins and a spoon of mustard.", "Serve it on plates of blue glass with lobster."],
    contrary: ["Boil them for 70 seconds.", "Soak the beans by day."],
  },
];
