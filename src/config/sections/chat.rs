//! `chat`, `recording`.

use crate::config::setting::section;
use crate::config::value::{Secret, choice};
use std::path::PathBuf;

choice! {
    /// Where chat uploads are kept.
    pub enum UploadBackend {
        /// A folder.
        Disk = "disk",
        /// An S3 bucket.
        S3 = "s3",
        /// In the message.
        Inline = "inline",
    }
    default Disk
}

section! {
    /// Chat uploads and history.
    pub struct Chat {
        /// Files shared in chat.
        uploads: Uploads = Uploads::default(), "uploads", env [];
        /// Bytes one user may keep. 0: unlimited.
        max_upload_bytes_per_user: u64 = 524_288_000, "maxUploadBytesPerUser", env ["CHAT_MAX_UPLOAD_BYTES_PER_USER"], inert;
        /// Bytes all uploads may take. 0: unlimited.
        global_disk_threshold_bytes: u64 = 0, "globalDiskThresholdBytes", env ["CHAT_GLOBAL_DISK_THRESHOLD_BYTES"], inert;
        /// Messages a client keeps.
        max_message_count: u32 = 10_000, "maxMessageCount", env ["CHAT_MAX_MESSAGE_COUNT"];
        /// Hours a client keeps messages.
        message_ttl_hours: u32 = 2160, "messageTTLHours", env ["CHAT_MESSAGE_TTL_HOURS"];
    }
}

section! {
    /// Files shared in chat.
    pub struct Uploads {
        /// disk, s3 or inline.
        backend: UploadBackend = UploadBackend::default(), "backend", env [], inert;
        /// Largest file, bytes; also the largest request body (at least 2 MiB).
        max_bytes: u64 = 10_485_760, "maxBytes", env ["CHAT_UPLOADS_MAX_BYTES"];
        /// Largest picture, pixels per side.
        max_dimension: u32 = 8192, "maxDimension", env [], inert;
        /// Largest file sent inside the message, bytes.
        inline_max_bytes: u64 = 512_000, "inlineMaxBytes", env [], inert;
        /// Folder. Default: uploads/chat in server.dataDir.
        disk_dir: PathBuf = PathBuf::new(), "diskDir", env [], inert;
        /// S3 bucket.
        s3: S3 = S3::default(), "s3", env [];
    }
}

section! {
    /// S3 bucket.
    pub struct S3 {
        /// Address of the service.
        endpoint: String = String::new(), "endpoint", env [], inert;
        /// Bucket.
        bucket: String = String::new(), "bucket", env [], inert;
        /// Region.
        region: String = "auto".to_owned(), "region", env [], inert;
        /// Access key.
        access_key: Secret = Secret::default(), "accessKey", env [], inert;
        /// Secret key.
        secret_key: Secret = Secret::default(), "secretKey", env [], inert;
        /// Address under which recordings are public.
        public_base_url: String = String::new(), "publicBaseUrl", env [], inert;
    }
}

section! {
    /// Recordings.
    pub struct Recording {
        /// Largest recording, MiB. 0: unlimited.
        max_file_size_mb: u32 = 0, "maxFileSizeMB", env [], inert;
        /// Folder. Default: recordings in server.dataDir.
        storage_dir: PathBuf = PathBuf::new(), "storageDir", env [], inert;
        /// Recordings one room may have. 0: unlimited.
        max_recordings_per_room: u32 = 0, "maxRecordingsPerRoom", env [], inert;
        /// Hours a recording is kept. 0: for ever.
        retention_hours: u32 = 0, "retentionHours", env ["RECORDING_RETENTION_HOURS"], inert;
        /// Hours between two clean-ups.
        cleanup_interval_hours: u32 = 24, "cleanupIntervalHours", env ["RECORDING_CLEANUP_INTERVAL_HOURS"], inert;
    }
}
