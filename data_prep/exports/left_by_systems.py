"""Files that operating systems and storage leave beside images: no images, and no losses, whatever
their names end in.
"""

# Apple: https://support.apple.com/HT208209 and netatalk; Windows; Synology and QNAP (thumbnails,
# recycle bins); NetApp and Btrfs (snapshots);
# Android (.nomedia); and what keeps an empty folder in Git.
FOLDERS = frozenset(
    [
        "__macosx",
        ".appledouble",
        ".spotlight-v100",
        ".trashes",
        ".fseventsd",
        ".temporaryitems",
        ".documentrevisions-v100",
        "$recycle.bin",
        "system volume information",
        "@eadir",
        ".@__thumb",
        "#recycle",
        "@recycle",
        "@tmp",
        ".thumbnails",
        ".snapshot",
        "#snapshot",
        "lost+found",
        "network trash folder",
    ]
)
NAMES = frozenset(
    [
        ".ds_store",
        ".localized",
        ".apdisk",
        ".volumeicon.icns",
        "icon\r",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        ".directory",
        "autorun.inf",
        ".com.apple.timemachine.donotpresent",
        ".com.apple.timemachine.supported",
        ".metadata_never_index",
        ".nomedia",
        ".gitkeep",
        ".keep",
    ]
)
ENDINGS = (
    "zone.identifier",
    "@synoeastream",
    "@synoresource",
)  # streams that NTFS and Synology keep with a file, written out as files
LOCKS = ("~$", ".~lock.")  # of Microsoft Office and LibreOffice
DOUBLE = "._"  # what macOS keeps with a file, on a disk that has no room for it
APPLE_DOUBLE = b"\x00\x05\x16\x07"  # RFC 1740


def left_by_a_system(name: str) -> bool:
    """By its path under the root alone."""
    *folders, base = name.casefold().split("/")
    return (
        base in NAMES
        or base.endswith(ENDINGS)
        or base.startswith(LOCKS)
        or not FOLDERS.isdisjoint(folders)
    )


def is_double(name: str, head: bytes) -> bool:
    """Whether a file that starts with `head` is macOS's second one beside another, as its name
    says.
    """
    return name.rpartition("/")[2].startswith(DOUBLE) and (
        not head or head.startswith(APPLE_DOUBLE)
    )
