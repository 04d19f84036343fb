//! `webxdc`: mini apps in meetings.

use crate::config::setting::section;
use crate::config::value::choice;
use std::path::PathBuf;

choice! {
    /// Who may add a mini app to a room.
    pub enum UploadPolicy {
        /// Owner and moderators.
        OwnerMod = "owner_mod",
        /// Everybody in the room.
        AnyMember = "any_member",
    }
    default OwnerMod
}

section! {
    /// Mini apps in meetings (experimental).
    pub struct WebXdc {
        /// On or off.
        enabled: bool = false, "enabled", env ["WEBXDC_ENABLED"], inert;
        /// Domain whose subdomains serve the apps.
        base_domain: String = String::new(), "baseDomain", env ["WEBXDC_BASE_DOMAIN"], inert;
        /// owner_mod or any_member.
        upload_policy: UploadPolicy = UploadPolicy::default(), "uploadPolicy", env ["WEBXDC_UPLOAD_POLICY"], inert;
        /// Folder. Default: webxdc in server.dataDir.
        storage_dir: PathBuf = PathBuf::new(), "storageDir", env [], inert;
        /// Minutes a ticket for an app's files is valid.
        ticket_ttl_minutes: u32 = 10, "ticketTTLMinutes", env [], inert;
        /// Serve apps under a path instead of subdomains.
        dev_path_mode: bool = false, "devPathMode", env ["WEBXDC_DEV_PATH_MODE"], inert;
        /// Address of the path mode.
        public_base_url: String = String::new(), "publicBaseURL", env ["WEBXDC_PUBLIC_BASE_URL"], inert;
        /// Port of the apps' addresses.
        public_port: Option<u16> = None, "publicPort", env ["WEBXDC_PUBLIC_PORT"], inert;
        /// Largest archive, bytes.
        max_archive_bytes: u64 = 10_485_760, "maxArchiveBytes", env [], inert;
        /// Largest archive unpacked, bytes.
        max_uncompressed_total: u64 = 31_457_280, "maxUncompressedTotal", env [], inert;
        /// Largest file unpacked, bytes.
        max_single_file_bytes: u64 = 5_242_880, "maxSingleFileBytes", env [], inert;
        /// Files in an archive.
        max_entries: u32 = 500, "maxEntries", env [], inert;
        /// Updates kept per app.
        status_log_max_updates: u32 = 500, "statusLogMaxUpdates", env [], inert;
        /// Largest update, bytes.
        send_update_max_size: u32 = 128_000, "sendUpdateMaxSize", env [], inert;
        /// Milliseconds between two updates of one user.
        send_update_interval_ms: u32 = 10_000, "sendUpdateIntervalMs", env [], inert;
        /// The catalogue of apps.
        gallery: Gallery = Gallery::default(), "gallery", env [];
    }
}

section! {
    /// The catalogue of apps.
    pub struct Gallery {
        /// On or off.
        enabled: bool = false, "enabled", env ["WEBXDC_GALLERY_ENABLED"], inert;
        /// local or remote.
        source: String = "local".to_owned(), "source", env [], inert;
        /// Address of a remote catalogue.
        remote_catalog_url: String = String::new(), "remoteCatalogURL", env ["WEBXDC_GALLERY_REMOTE_URL"], inert;
        /// Users may add apps from the remote catalogue.
        allow_remote_download: bool = false, "allowRemoteDownload", env [], inert;
    }
}
