//! What mailboxes are for: as the server says (SPECIAL-USE, RFC 6154), or as their names say.

use super::data::{Attribute, Listed};

/// What a mailbox is for (RFC 6154, section 2; RFC 8457).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// All messages.
    All,
    /// What was archived.
    Archive,
    /// Drafts.
    Drafts,
    /// Flagged messages.
    Flagged,
    /// Important messages.
    Important,
    /// Junk.
    Junk,
    /// What was sent.
    Sent,
    /// What was thrown away.
    Trash,
}

/// A mailbox for something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecialMailbox {
    /// What for.
    pub special_use: SpecialUse,
    /// The mailbox.
    pub mailbox: Listed,
    /// Whether only its name says so, and not the server.
    pub is_guess: bool,
}

/// The names of mailboxes in the languages of mail programs, in small letters.
const NAMES: [(SpecialUse, &[&str]); 5] = [
    (
        SpecialUse::Sent,
        &[
            "sent",
            "sent items",
            "sent messages",
            "sent mail",
            "sent-mail",
            "gesendet",
            "gesendete elemente",
            "gesendete objekte",
            "gesendete nachrichten",
            "envoyés",
            "éléments envoyés",
            "messages envoyés",
            "enviados",
            "elementos enviados",
            "mensajes enviados",
            "itens enviados",
            "mensagens enviadas",
            "enviadas",
            "enviats",
            "inviati",
            "posta inviata",
            "inviata",
            "elementi inviati",
            "verzonden",
            "verzonden items",
            "verzonden berichten",
            "skickat",
            "skickade",
            "skickade objekt",
            "sendt",
            "sendte elementer",
            "sendte",
            "sendt post",
            "lähetetyt",
            "lähetetyt viestit",
            "wysłane",
            "elementy wysłane",
            "odeslané",
            "odeslaná pošta",
            "odoslané",
            "odoslaná pošta",
            "elküldött",
            "elküldött elemek",
            "elküldöttek",
            "trimise",
            "elemente trimise",
            "poslano",
            "poslana pošta",
            "poslato",
            "изпратени",
            "отправленные",
            "надіслані",
            "надіслані елементи",
            "απεσταλμένα",
            "σταλθέντα",
            "gönderilmiş öğeler",
            "gönderilenler",
            "gönderilmiş",
            "נשלחו",
            "דואר שנשלח",
            "פריטים שנשלחו",
            "المرسلة",
            "العناصر المرسلة",
            "البريد المرسل",
            "送信済み",
            "送信済みアイテム",
            "送信済みメール",
            "已发送",
            "已发送邮件",
            "已傳送",
            "寄件備份",
            "已寄出",
            "보낸 편지함",
            "보낸편지함",
            "đã gửi",
            "terkirim",
            "ส่งแล้ว",
        ],
    ),
    (
        SpecialUse::Drafts,
        &[
            "drafts",
            "draft",
            "entwürfe",
            "entwurf",
            "brouillons",
            "brouillon",
            "borradores",
            "borrador",
            "rascunhos",
            "rascunho",
            "esborranys",
            "bozze",
            "concepten",
            "concept",
            "utkast",
            "kladder",
            "kladde",
            "luonnokset",
            "szkice",
            "wersje robocze",
            "kopie robocze",
            "koncepty",
            "rozepsané",
            "rozpracované",
            "piszkozatok",
            "vázlatok",
            "ciorne",
            "skice",
            "nacrti",
            "osnutki",
            "чернови",
            "черновики",
            "чернетки",
            "πρόχειρα",
            "taslaklar",
            "טיוטות",
            "مسودات",
            "المسودات",
            "下書き",
            "草稿",
            "草稿箱",
            "草稿匣",
            "임시 보관함",
            "임시보관함",
            "bản nháp",
            "thư nháp",
            "draf",
            "ฉบับร่าง",
            "แบบร่าง",
        ],
    ),
    (
        SpecialUse::Trash,
        &[
            "trash",
            "deleted",
            "deleted items",
            "deleted messages",
            "bin",
            "papierkorb",
            "gelöscht",
            "gelöschte elemente",
            "gelöschte objekte",
            "corbeille",
            "éléments supprimés",
            "messages supprimés",
            "papelera",
            "elementos eliminados",
            "mensajes eliminados",
            "lixo",
            "lixeira",
            "itens excluídos",
            "itens eliminados",
            "paperera",
            "cestino",
            "posta eliminata",
            "elementi eliminati",
            "prullenbak",
            "verwijderde items",
            "papperskorgen",
            "papperskorg",
            "borttaget",
            "borttagna objekt",
            "papirkurv",
            "papirkurven",
            "slettet post",
            "slettede elementer",
            "slettede",
            "roskakori",
            "poistetut",
            "poistetut viestit",
            "kosz",
            "elementy usunięte",
            "koš",
            "odstraněná pošta",
            "kôš",
            "odstránená pošta",
            "lomtár",
            "kuka",
            "törölt elemek",
            "törölt",
            "coș de gunoi",
            "coş",
            "elemente șterse",
            "smeće",
            "otpad",
            "кошче",
            "корзина",
            "удаленные",
            "удалённые",
            "кошик",
            "видалені",
            "απορρίμματα",
            "κάδος απορριμμάτων",
            "διαγραμμένα",
            "çöp kutusu",
            "çöp",
            "silinmiş öğeler",
            "אשפה",
            "פריטים שנמחקו",
            "المهملات",
            "سلة المهملات",
            "العناصر المحذوفة",
            "ごみ箱",
            "ゴミ箱",
            "削除済みアイテム",
            "已删除",
            "已删除邮件",
            "垃圾桶",
            "已刪除的郵件",
            "휴지통",
            "지운 편지함",
            "thùng rác",
            "sampah",
            "ถังขยะ",
        ],
    ),
    (
        SpecialUse::Junk,
        &[
            "junk",
            "junk mail",
            "junk e-mail",
            "junk email",
            "spam",
            "bulk mail",
            "spamverdacht",
            "junk-e-mail",
            "unerwünscht",
            "unerwünschte werbung",
            "courrier indésirable",
            "indésirables",
            "pourriel",
            "correo no deseado",
            "no deseado",
            "correo basura",
            "lixo eletrônico",
            "lixo eletrónico",
            "correio eletrónico não solicitado",
            "posta indesiderata",
            "indesiderata",
            "ongewenste e-mail",
            "ongewenst",
            "skräppost",
            "skräp",
            "søppelpost",
            "uønsket e-post",
            "uønsket mail",
            "uønsket post",
            "roskaposti",
            "wiadomości-śmieci",
            "niechciane",
            "nevyžádaná pošta",
            "nevyžiadaná pošta",
            "levélszemét",
            "mesaje nedorite",
            "neželjena pošta",
            "neželena pošta",
            "спам",
            "нежелательная почта",
            "нежелана поща",
            "небажана пошта",
            "ανεπιθύμητα",
            "ανεπιθύμητη αλληλογραφία",
            "istenmeyen",
            "önemsiz",
            "önemsiz e-posta",
            "gereksiz",
            "דואר זבל",
            "זבל",
            "البريد العشوائي",
            "الرسائل العشوائية",
            "البريد غير الهام",
            "迷惑メール",
            "垃圾邮件",
            "垃圾郵件",
            "정크 메일",
            "스팸",
            "스팸메일함",
            "thư rác",
            "สแปม",
        ],
    ),
    (
        SpecialUse::Archive,
        &[
            "archive",
            "archives",
            "archived",
            "archiv",
            "archivé",
            "archivo",
            "archivados",
            "arquivo",
            "arquivados",
            "arxiu",
            "archivio",
            "archivia",
            "archief",
            "arkiv",
            "arkisto",
            "archiwum",
            "archív",
            "archívum",
            "arhivă",
            "arhiva",
            "arhiv",
            "архив",
            "архів",
            "αρχείο",
            "αρχειοθέτηση",
            "arşiv",
            "ארכיון",
            "الأرشيف",
            "أرشيف",
            "アーカイブ",
            "存档",
            "归档",
            "封存",
            "보관",
            "보관함",
            "lưu trữ",
            "arsip",
        ],
    ),
];

/// Whether two names are the same but for the case of their letters.
fn is_same(one: &str, other: &str) -> bool {
    one.chars().map(small).eq(other.chars().map(small))
}

/// The small letter, in the alphabets of [`NAMES`] alone: the tables for all of Unicode are larger than
/// the rest of this module.
fn small(letter: char) -> char {
    let distance = match letter {
        // In Turkish it has its dot in capitals too.
        'İ' => return 'i',
        'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ' | 'Α'..='Ρ' | 'Σ'..='Ϋ' | 'А'..='Я' => 32,
        // Pairs: of Latin letters with marks, and of Vietnamese ones.
        'Ā'..='ķ' | 'Ŋ'..='ŷ' | 'Ș'..='ț' | 'Ơ' | 'Ạ'..='ỹ' => 1 - letter as u32 % 2,
        'Ĺ'..='ň' | 'Ź'..='ž' | 'Ư' => letter as u32 % 2,
        // At the end of a word it has another form.
        'ς' => 1,
        'Ά' => 38,
        'Έ'..='Ί' => 37,
        'Ό' => 64,
        'Ύ' | 'Ώ' => 63,
        'Ѐ'..='Џ' => 80,
        _ => 0,
    };
    char::from_u32(letter as u32 + distance).unwrap_or(letter)
}

impl Listed {
    /// What the server says it is for.
    pub fn special_use(&self) -> Option<SpecialUse> {
        self.attributes.iter().find_map(|attribute| {
            Some(match attribute {
                Attribute::All => SpecialUse::All,
                Attribute::Archive => SpecialUse::Archive,
                Attribute::Drafts => SpecialUse::Drafts,
                Attribute::Flagged => SpecialUse::Flagged,
                Attribute::Important => SpecialUse::Important,
                Attribute::Junk => SpecialUse::Junk,
                Attribute::Sent => SpecialUse::Sent,
                Attribute::Trash => SpecialUse::Trash,
                _ => return None,
            })
        })
    }

    /// What its name says that it is for, in some twenty languages, whatever case its letters are:
    /// `None` where it can't hold messages.
    pub fn guessed_use(&self) -> Option<SpecialUse> {
        let is_none = |it: &Attribute| matches!(it, Attribute::NoSelect | Attribute::NonExistent);
        if self.attributes.iter().any(is_none) {
            return None;
        }
        let name = self.name.to_string();
        let last = self.separator.and_then(|it| name.rsplit(it).next());
        let last = last.unwrap_or(&name).trim();
        let is_it = |name: &&str| is_same(name, last);
        let names = NAMES.iter().find(|(_, names)| names.iter().any(is_it));
        names.map(|(special_use, _)| *special_use)
    }

    /// How deep it lies below others.
    fn level(&self) -> usize {
        let name = self.name.to_string();
        self.separator.map_or(0, |it| name.matches(it).count())
    }
}

/// The mailboxes for something among those that were listed, one for each use. Where the server has
/// named none for drafts, sent mail, trash, junk or an archive, one is taken by its name, the highest
/// of several, and marked as a guess.
pub fn special_mailboxes(listed: &[Listed]) -> Vec<SpecialMailbox> {
    let mut found: Vec<SpecialMailbox> = Vec::new();
    for mailbox in listed {
        if let Some(special_use) = mailbox.special_use()
            && found.iter().all(|it| it.special_use != special_use)
        {
            found.push(SpecialMailbox {
                special_use,
                mailbox: mailbox.clone(),
                is_guess: false,
            });
        }
    }
    for (special_use, _) in &NAMES {
        if found.iter().any(|it| it.special_use == *special_use) {
            continue;
        }
        let is_it =
            |it: &&Listed| it.special_use().is_none() && it.guessed_use() == Some(*special_use);
        if let Some(mailbox) = listed.iter().filter(is_it).min_by_key(|it| it.level()) {
            found.push(SpecialMailbox {
                special_use: *special_use,
                mailbox: mailbox.clone(),
                is_guess: true,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Response, ResponseParser};

    fn listed(line: &str) -> Listed {
        match ResponseParser::default().parse(line.to_owned().into()) {
            Response::List(listed) => listed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_in_small_letters_and_mean_one_thing() {
        let mut all: Vec<&str> = NAMES
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        for name in &all {
            assert_eq!(*name, name.to_lowercase());
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "a name stands there twice");
    }

    #[test]
    fn names_are_known_in_any_case() {
        for name in NAMES.iter().flat_map(|(_, names)| *names) {
            assert!(is_same(name, &name.to_uppercase()), "{name}");
            let first = name.chars().next().expect("a letter");
            let title = name.replacen(first, &first.to_uppercase().to_string(), 1);
            assert!(is_same(name, &title), "{title}");
        }
        assert!(is_same("silinmiş", "SİLİNMİŞ"));
        assert!(!is_same("sent", "send"));
        assert!(!is_same("sent", "sent items"));
    }

    #[test]
    fn what_the_server_says_counts_more_than_a_name() {
        let mailboxes = [
            r#"* LIST (\HasNoChildren) "." INBOX"#,
            r#"* LIST () "." INBOX.x.Sent"#,
            r#"* LIST () "." "INBOX.Gesendete Elemente""#,
            // "Éléments supprimés", and "Корзина".
            r#"* LIST () "." "INBOX.&AMk-l&AOk-ments supprim&AOk-s""#,
            r#"* LIST () "." "INBOX.Z.&BBoEPgRABDcEOAQ9BDA-""#,
            r#"* LIST (\archive) "." "INBOX.Old""#,
            r#"* LIST () "." INBOX.Archive"#,
            r#"* LIST (\Noselect) "." Drafts"#,
            r"* LIST (\Junk) NIL Drafts",
        ]
        .map(listed);
        let found: Vec<_> = special_mailboxes(&mailboxes)
            .into_iter()
            .map(|it| (it.special_use, it.mailbox.name.to_string(), it.is_guess))
            .collect();
        let found: Vec<_> = found
            .iter()
            .map(|(special_use, name, is_guess)| (*special_use, &**name, *is_guess))
            .collect();
        assert_eq!(
            found,
            [
                (SpecialUse::Archive, "INBOX.Old", false),
                (SpecialUse::Junk, "Drafts", false),
                (SpecialUse::Sent, "INBOX.Gesendete Elemente", true),
                (SpecialUse::Trash, "INBOX.Éléments supprimés", true),
            ]
        );
    }
}
