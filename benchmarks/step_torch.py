"""Times the training step of ResNet-50 in plain PyTorch, with the views made on the device. It needs only torch.

python benchmarks/step_torch.py --image_size=224 --batch_size=256 --precision=bfloat16 --channels_last --compile

It is what a user would write for speed: autocast, channels last, torch.compile for network and augmentation. As in our
step, images of `--side` pixels lie on the device, crops are matrix products, and every random number is drawn there.
The order of the colour jitter is fixed, which costs less than ours, where each image has an order of its own.
"""

import argparse
import json
import time

import harness
import torch
from torch import nn
from torch.nn import functional


class Bottleneck(nn.Module):
    """Applies a bottleneck block of ResNet-50, with the stride in the 3x3 convolution."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(before, width, 1, bias=False),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
        )
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(w) for w in (width, width, 4 * width))
        self.shortcut = nn.Identity()
        if stride != 1 or before != 4 * width:
            convolution = nn.Conv2d(before, 4 * width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(4 * width))

    def forward(self, x):
        """Maps `[B, before, H, W]` to `[B, 4 width, H / stride, W / stride]`."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


def make_model(width):
    """Makes ResNet-50 with the 3-layer projector to d = 2048, and the predictor."""
    layers = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = width
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            layers.append(Bottleneck(before, width << stage, 2 if stage and not block else 1))
            before = 4 * (width << stage)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for _ in range(2):
        layers += [nn.Linear(before, 2048, bias=False), nn.BatchNorm1d(2048), nn.ReLU()]
        before = 2048
    encoder = nn.Sequential(*layers, nn.Linear(2048, 2048), nn.BatchNorm1d(2048, affine=False))
    predictor = nn.Sequential(nn.Linear(2048, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 2048))
    return encoder, predictor


def resize_weights(start, length, source, target):
    """Computes the matrices `[B, target, source]` of an antialiased resize of parts of images."""
    scale = (length / target)[:, None, None]
    centre = (torch.arange(target, device=start.device) + 0.5)[None, :, None] * scale
    pixel = torch.arange(source, device=start.device)[None, None, :] - start[:, None, None]
    weight = torch.relu(1 - (pixel + 0.5 - centre).abs() / scale.clamp(min=1))
    weight = torch.where((pixel >= 0) & (pixel < length[:, None, None]), weight, 0.0)
    return weight / weight.sum(-1, keepdim=True)


def crop(x, size):
    """Crops 20 to 100 % of each image at random, mirrors half of them, and resizes to `[B, 3, size, size]`."""
    count, side = len(x), x.shape[-1]
    draw = torch.rand(5, count, device=x.device)
    area, ratio = side * side * (0.2 + 0.8 * draw[0]), torch.exp((draw[1] * 2 - 1) * 0.28768207)
    w, h = (area * ratio).sqrt().round().clamp(1, side), (area / ratio).sqrt().round().clamp(1, side)
    top, left = (draw[2] * (side - h + 1)).floor(), (draw[3] * (side - w + 1)).floor()
    rows, columns = resize_weights(top, h, side, size), resize_weights(left, w, side, size)
    columns = torch.where((draw[4] < 0.5)[:, None, None], columns.flip(1), columns)
    return torch.einsum("bih,bchw,bjw->bcij", rows, x, columns)


def gray_of(x):
    """Returns the luma of images, `[B, 1, H, W]`."""
    return (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


def turned(x, turn):
    """Turns the hue of images by parts of the colour circle, `[B, 1, 1]`."""
    top, argmax = x.max(1)
    chroma = top - x.amin(1)
    r, g, b = x.unbind(1)
    safe = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(argmax == 0, (g - b) / safe, torch.where(argmax == 1, 2 + (b - r) / safe, 4 + (r - g) / safe))
    hue = hue / 6 + turn
    sextants = [(n + 6 * hue) % 6 for n in (5, 3, 1)]  # of red, green and blue
    return torch.stack([top - chroma * torch.minimum(i, 4 - i).clamp(0, 1) for i in sextants], 1)


def coloured(x):
    """Applies colour jitter to 80 % of the images, and removes the colour of 20 %."""
    draw = torch.rand(6, len(x), 1, 1, 1, device=x.device)
    factors = 0.6 + 0.8 * draw[:3]
    y = (x * factors[0]).clamp(0, 1)
    y = (y * factors[1] + gray_of(y).mean((2, 3), keepdim=True) * (1 - factors[1])).clamp(0, 1)
    y = (y * factors[2] + gray_of(y) * (1 - factors[2])).clamp(0, 1)
    y = turned(y, 0.2 * draw[3][:, 0] - 0.1)
    x = torch.where(draw[4] < 0.8, y, x)
    return torch.where(draw[5] < 0.2, gray_of(x).expand_as(x), x)


def blurred(x):
    """Blurs half of the images by Gaussians of 0.1 to 2 pixels, as sums of shifted images like ours."""
    count, side = len(x), x.shape[-1]
    sigma, at = 0.1 + 1.9 * torch.rand(count, 1, device=x.device), torch.arange(-8, 9, device=x.device)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = torch.where(torch.rand(count, 1, device=x.device) < 0.5, kernel, (at == 0).to(kernel.dtype))
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, :, None, None, None]
    x = functional.pad(x, (0, 0, 8, 8), mode="reflect")
    x = sum(kernel[:, i] * x[:, :, i : i + side] for i in range(17))
    x = functional.pad(x, (8, 8, 0, 0), mode="reflect")
    return sum(kernel[:, i] * x[..., i : i + side] for i in range(17))


def view(images, size):
    """Makes a view of each image, `[B, 3, side, side] uint8`."""
    x = blurred(coloured(crop(images.float() / 255, size)))
    mean, deviation = x.new_tensor([0.485, 0.456, 0.406]), x.new_tensor([0.229, 0.224, 0.225])
    return (x - mean[:, None, None]) / deviation[:, None, None]


class Trainer:
    """Takes training steps.

    Args:
        options: the command line.
        device: the device.
    """

    def __init__(self, options: argparse.Namespace, device: str):
        self._options, self._device = options, device
        layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self._encoder, self._predictor = (m.to(device, memory_format=layout) for m in make_model(options.width))
        parameters = [*self._encoder.parameters(), *self._predictor.parameters()]
        self._optimizer = torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=1e-4)
        self._layout, self._view, self._loss = layout, view, self._make_loss
        if options.compile:
            self._view, self._loss = torch.compile(view), torch.compile(self._make_loss)

    def _make_loss(self, views):
        z1, z2 = (self._encoder(x) for x in views)
        p1, p2 = self._predictor(z1), self._predictor(z2)
        pairs = ((p1, z2), (p2, z1))
        return -sum(functional.cosine_similarity(p.float(), z.float().detach()).mean() for p, z in pairs) / 2

    def __call__(self, images):
        """Takes one step on images of the device; returns the loss, which stays there."""
        chosen = images[torch.randint(len(images), (self._options.batch_size,), device=self._device)]
        size, layout = self._options.image_size, self._layout
        views = [self._view(chosen, size).contiguous(memory_format=layout) for _ in range(2)]
        with torch.autocast(self._device, torch.bfloat16, enabled=self._options.precision == "bfloat16"):
            loss = self._loss(views)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()


def time_steps(trainer: Trainer, images, steps: int) -> tuple[float, float]:
    """Measures the mean seconds of a step, and the seconds of the two steps before, which compile."""
    start = time.perf_counter()
    for _ in range(2):
        float(trainer(images))
    warm = time.perf_counter()
    for i in range(steps):
        loss = trainer(images)
        if i % 8 == 7 or i == steps - 1:
            float(loss)  # waits for the device, as often as pjrt_run.py does
    return (time.perf_counter() - warm) / steps, warm - start


def main() -> None:
    """Runs the benchmark."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--side", type=int, default=256, help="side of the images of noise, in pixels")
    parser.add_argument("--images", type=int, default=1024, help="images of noise")
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--channels_last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    device = options.device
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("error: PyTorch finds no card; give --device=cpu to time the step on the processor.")
    torch.set_float32_matmul_precision("high")  # as XLA on a GPU: float32 products in TensorFloat-32
    torch.backends.cudnn.benchmark = True
    images = torch.randint(0, 256, (options.images, 3, options.side, options.side), dtype=torch.uint8, device=device)
    seconds, compiling = time_steps(Trainer(options, device), images, options.steps)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    result = {
        "what": "the same step in PyTorch",
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "torch": torch.__version__,
        "compile_seconds": compiling,
        "step_seconds": seconds,
        "images_per_second": options.batch_size / seconds,
        "peak_gib": peak,
        **{name: value for name, value in vars(options).items() if name not in ("json", "device")},
    }
    print(json.dumps(result))
    harness.write_result(result, options.json)


if __name__ == "__main__":
    main()
