"""What a DICOM object is, by its SOP class (PS3.4 B.5): an image, something made of images, or
neither.
"""

from enum import StrEnum

from pydicom.uid import UID, EnhancedUSVolumeStorage, UID_dictionary

# In the names of all classes of images that a device makes but one, and in no others.
IMAGE_NAMES = "Image Storage"
# Registrations and segmentations, of which pydicom 3.0.2 lacks label maps (66.7).
NO_IMAGES = "1.2.840.10008.5.1.4.1.1.66."
MADE_OF_IMAGES = ("SEG", "RTDOSE")  # modalities, for classes that nobody here knows


class Object(StrEnum):
    IMAGE = "image"
    NO_IMAGE = "no image"
    UNKNOWN = "unknown"  # a maker's own class, or one that is newer than pydicom's dictionary
    UNSAID = "unsaid"


def object_of(sop_class: str, modality: str = "") -> Object:
    if not sop_class:
        return Object.UNSAID
    if sop_class in UID_dictionary:
        return (
            Object.IMAGE
            if IMAGE_NAMES in UID(sop_class).name or sop_class == EnhancedUSVolumeStorage
            else Object.NO_IMAGE
        )
    return (
        Object.NO_IMAGE
        if sop_class.startswith(NO_IMAGES) or modality in MADE_OF_IMAGES
        else Object.UNKNOWN
    )
