//! `queue`, `email`.

use crate::config::setting::section;
use crate::config::value::Secret;
use std::collections::BTreeMap;

section! {
    /// Background jobs.
    pub struct Queue {
        /// Milliseconds between two looks at the queue.
        poll_interval: u32 = 500, "pollInterval", env ["QUEUE_POLL_INTERVAL"], inert;
        /// Attempts before a job is given up.
        max_attempts: u32 = 3, "maxAttempts", env ["QUEUE_MAX_ATTEMPTS"], inert;
        /// Jobs worked on at once.
        concurrency: u32 = 1, "concurrency", env ["QUEUE_CONCURRENCY"], inert;
    }
}

section! {
    /// Outgoing mail. Off unless smtpHost and smtpPort are set.
    pub struct Email {
        /// SMTP server.
        smtp_host: String = String::new(), "smtpHost", env ["EMAIL_SMTP_HOST"], inert;
        /// Its port.
        smtp_port: Option<u16> = None, "smtpPort", env ["EMAIL_SMTP_PORT"], inert;
        /// User name; empty: no authentication.
        username: String = String::new(), "username", env ["EMAIL_USERNAME", "EMAIL_SMTP_USER"], inert;
        /// Password.
        password: Secret = Secret::default(), "password", env ["EMAIL_PASSWORD"], inert;
        /// Sender address.
        from_address: String = "noreply@bedrud".to_owned(), "fromAddress", env ["EMAIL_FROM_ADDRESS"], inert;
        /// Sender name.
        from_name: String = "Bedrud".to_owned(), "fromName", env ["EMAIL_FROM_NAME"], inert;
        /// Accept any certificate of the mail server.
        tls_skip_verify: bool = false, "tlsSkipVerify", env ["EMAIL_TLS_SKIP_VERIFY"], inert;
        /// TLS from the first byte instead of STARTTLS.
        smtps_mode: bool = false, "smtpsMode", env ["EMAIL_SMTPS_MODE"], inert;
        /// Look of the mails.
        templates: EmailTemplates = EmailTemplates::default(), "templates", env [];
    }
}

section! {
    /// Look of the mails.
    pub struct EmailTemplates {
        /// Name of this server in mails.
        instance_name: String = "Bedrud".to_owned(), "instanceName", env [], inert;
        /// Address for help.
        support_email: String = String::new(), "supportEmail", env [], inert;
        /// Address of this server.
        instance_url: String = String::new(), "instanceUrl", env [], inert;
        /// Colour of the header.
        header_bg_color: String = "#1a1a2e".to_owned(), "headerBgColor", env [], inert;
        /// Colour of buttons.
        button_bg_color: String = "#e11d48".to_owned(), "buttonBgColor", env [], inert;
        /// Subject by kind of mail: verify_email, welcome, password_reset, password_changed, room_invite.
        subject_lines: BTreeMap<String, String> = BTreeMap::new(), "subjectLines", env [], inert;
        /// Preview text by kind of mail.
        preheader_text: BTreeMap<String, String> = BTreeMap::new(), "preheaderText", env [], inert;
    }
}
