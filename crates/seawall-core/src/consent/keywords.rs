//! Words that mean something when they are the whole answer.

use super::fold;

/// What an answer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// Who writes, and how to make it stop.
    Help,
    /// Agreed, as an answer to a question.
    Yes,
    /// Not agreed, as an answer to a question.
    No,
    /// The code was asked for by somebody else.
    NotMe,
}

impl Intent {
    /// The wire word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotMe => "not_me",
        }
    }
}

/// Keywords with their language, folded as [`fold::words`] folds; several are parted by `|`. The English ones for
/// STOP are those of 47 CFR 64.1200(a)(10) and of carriers' lists.
const KEYWORDS: &[(Intent, &str, &str)] = &[
    (
        Intent::Stop,
        "en",
        "stop|stopall|stop all|unsubscribe|cancel|end|quit|revoke|optout|opt out|remove|stop it|stop now|arret",
    ),
    (Intent::Stop, "es", "baja|alto|parar|pare|salir|cancelar|cancelar suscripcion|darme de baja|baja total"),
    (Intent::Stop, "pt", "sair|parar|pare|parem|cancelar|descadastrar|remover|cancelar inscricao"),
    (
        Intent::Stop,
        "fr",
        "arret|arreter|arretez|arrete|desabonner|desinscription|desabonnement|me desabonner",
    ),
    (Intent::Stop, "de", "stopp|abmelden|abbestellen|austragen|abmeldung|kundigen|aufhoren"),
    (Intent::Stop, "it", "basta|ferma|cancellami|disiscrivimi|annulla iscrizione|disiscriviti|annulla"),
    (Intent::Stop, "id", "berhenti|batal langganan|unreg|keluar|hentikan|stop langganan|batal"),
    (Intent::Stop, "ru", "стоп|отписаться|отписка|хватит|отменить подписку|отпишите|отказ"),
    (Intent::Stop, "ar", "توقف|توقفوا|ايقاف|اوقف|الغاء الاشتراك|قف|الغاء"),
    (Intent::Stop, "zh", "退订|停止|td|取消订阅|拒收|取消|t"),
    (Intent::Stop, "nl", "ophouden|afmelden|uitschrijven"),
    (Intent::Start, "en", "start|unstop|optin|opt in|subscribe|resume"),
    (Intent::Start, "es", "iniciar|alta|reanudar|suscribir|comenzar"),
    (Intent::Start, "pt", "iniciar|voltar|assinar|comecar|retomar"),
    (Intent::Start, "fr", "reprendre|commencer|abonner|me reabonner"),
    (Intent::Start, "de", "starten|anmelden|fortsetzen"),
    (Intent::Start, "it", "inizia|riprendi|iscrivimi|riattiva"),
    (Intent::Start, "id", "mulai|lanjut|langganan"),
    (Intent::Start, "ru", "старт|подписаться|возобновить"),
    (Intent::Start, "ar", "ابدا|اشترك|اشتراك|استئناف"),
    (Intent::Start, "zh", "开始|订阅|恢复"),
    (Intent::Help, "en", "help|info|help me"),
    (Intent::Help, "es", "ayuda"),
    (Intent::Help, "pt", "ajuda"),
    (Intent::Help, "fr", "aide"),
    (Intent::Help, "de", "hilfe"),
    (Intent::Help, "it", "aiuto"),
    (Intent::Help, "id", "bantuan|tolong"),
    (Intent::Help, "ru", "помощь|справка"),
    (Intent::Help, "ar", "مساعده"),
    (Intent::Help, "zh", "帮助"),
    (Intent::Yes, "en", "yes|y|i agree|agree|confirm|yes please"),
    (Intent::Yes, "es", "si|acepto|confirmo|si acepto"),
    (Intent::Yes, "pt", "sim|aceito|confirmar"),
    (Intent::Yes, "fr", "oui|jaccepte|je confirme|confirmer"),
    (Intent::Yes, "de", "ja|bestatigen|einverstanden|ja bitte"),
    (Intent::Yes, "it", "accetto|confermo|conferma"),
    (Intent::Yes, "id", "ya|setuju|iya"),
    (Intent::Yes, "ru", "да|согласен|согласна|подтверждаю"),
    (Intent::Yes, "ar", "نعم|موافق|اوافق"),
    (Intent::Yes, "zh", "是|同意|确认|是的"),
    (Intent::No, "en", "no|n|no thanks"),
    (Intent::No, "pt", "nao"),
    (Intent::No, "fr", "non"),
    (Intent::No, "de", "nein"),
    (Intent::No, "id", "tidak"),
    (Intent::No, "ru", "нет"),
    (Intent::No, "ar", "لا"),
    (Intent::No, "zh", "否|不|不同意"),
    (
        Intent::NotMe,
        "en",
        "not me|notme|wasnt me|it wasnt me|this wasnt me|that wasnt me|it was not me|this is not me",
    ),
    (Intent::NotMe, "es", "no fui yo|no soy yo|yo no fui|no he sido yo"),
    (Intent::NotMe, "pt", "nao fui eu|nao sou eu"),
    (Intent::NotMe, "fr", "pas moi|ce nest pas moi|cest pas moi|ce netait pas moi"),
    (Intent::NotMe, "de", "nicht ich|das war ich nicht|ich war das nicht|das bin ich nicht|ich nicht"),
    (Intent::NotMe, "it", "non sono io|non sono stato io|non sono stata io"),
    (Intent::NotMe, "id", "bukan saya|itu bukan saya"),
    (Intent::NotMe, "ru", "не я|это не я|это был не я|это была не я"),
    (Intent::NotMe, "ar", "ليس انا|لست انا|مو انا|مش انا"),
    (Intent::NotMe, "zh", "不是我|不是本人|不是我本人"),
];

/// Words of politeness: a keyword with them is still the keyword alone.
const POLITE: &str = " please pls plz thanks thank you now porfa gracias obrigado obrigada svp merci bitte danke grazie \
                      tolong mohon спасибо пожалуйста ";
const POLITE_PHRASES: [&str; 5] = ["por favor", "sil vous plait", "per favore", "من فضلكم", "terima kasih"];

/// A keyword that is the whole text, whatever its case, accents, spacing and punctuation; with its language.
pub fn keyword(text: &str) -> Option<(Intent, &'static str)> {
    let words = fold::words(text);
    let alone = words.join(" ");
    // S-T-O-P, and 退 订.
    let joined = words.concat();
    find(&alone).or_else(|| find(&joined)).or_else(|| {
        let bare = POLITE_PHRASES.iter().fold(alone, |text, phrase| text.replace(phrase, " "));
        let is_polite = |word: &&str| POLITE.contains(&format!(" {word} "));
        let bare: Vec<&str> = bare.split_whitespace().filter(|word| !is_polite(word)).collect();
        find(&bare.join(" "))
    })
}

fn find(text: &str) -> Option<(Intent, &'static str)> {
    let han = text.chars().any(fold::is_han).then(|| text.replace(' ', ""));
    let text = han.as_deref().unwrap_or(text);
    let named = |list: &str| list.split('|').any(|keyword| keyword == text);
    KEYWORDS.iter().find(|(_, _, list)| named(list)).map(|(intent, language, _)| (*intent, *language))
}

/// Whether a text begins with a word that by itself asks for no more messages: such a text is never passed over.
pub(super) fn begins_with_stop(words: &[String]) -> bool {
    const PLAIN: [&str; 12] = [
        "stop",
        "stopall",
        "unsubscribe",
        "optout",
        "revoke",
        "arret",
        "baja",
        "stopp",
        "berhenti",
        "стоп",
        "توقف",
        "unreg",
    ];
    words.first().is_some_and(|first| PLAIN.contains(&first.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_in_every_spelling() {
        for text in [
            "STOP",
            "stop",
            " Stop. ",
            "S-T-O-P",
            "STOP!!",
            "stop please",
            "Opt out",
            "opt-out",
            "STOP ALL",
            "UNSUBSCRIBE",
            "quit",
            "ARRÊT",
            "\"stop\"",
            "stop\n",
            "退 订",
            "إيقاف",
            "Стоп!",
            "Alto, por favor",
        ] {
            assert_eq!(keyword(text).map(|(intent, _)| intent), Some(Intent::Stop), "{text}");
        }
    }

    #[test]
    fn ordinary_sentences_are_no_keywords() {
        for text in [
            "",
            "   ",
            "please",
            "cancel my taxi?",
            "end of the road",
            "nonstop",
            "yes, but later",
            "the bus stop",
            "startle",
            "not mean",
        ] {
            assert_eq!(keyword(text), None, "{text}");
        }
    }

    #[test]
    fn every_intent_has_its_words() {
        for (text, intent, language) in [
            ("START", Intent::Start, "en"),
            ("opt-in", Intent::Start, "en"),
            ("Sí", Intent::Yes, "es"),
            ("Ayuda", Intent::Help, "es"),
            ("No fui yo!", Intent::NotMe, "es"),
            ("это не я", Intent::NotMe, "ru"),
            ("不是我", Intent::NotMe, "zh"),
            ("Nein", Intent::No, "de"),
            ("مساعدة", Intent::Help, "ar"),
        ] {
            assert_eq!(keyword(text), Some((intent, language)), "{text}");
        }
    }

    #[test]
    fn a_keyword_is_spelled_as_texts_are_folded() {
        for (_, language, list) in KEYWORDS {
            for word in list.split('|') {
                let folded = fold::words(word);
                let same = folded.join(" ") == word || folded.concat() == word;
                assert!(same, "{language}: {word} is folded to {folded:?}");
            }
        }
    }
}
